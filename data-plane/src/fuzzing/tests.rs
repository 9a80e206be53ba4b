//! The kept corpus, as it is and slightly broken. `MILLRACE_FUZZ_SECONDS` makes it go on for longer.

use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

/// Some bytes changed, taken out, doubled, or taken from another input.
fn broken(seed: &mut StdRng, input: &[u8], other: &[u8]) -> Vec<u8> {
    const BYTES: &[u8] = b"\0\xff{}[]\"',:.=$()@?*-+0159eE\\\n a;|&<>";
    let mut out = input.to_vec();
    for _ in 0..seed.random_range(1..4) {
        let at = seed.random_range(0..=out.len());
        let end = (at + seed.random_range(0..8)).min(out.len());
        match seed.random_range(0..5) {
            0 => drop(out.drain(at..end)),
            1 => out.insert(at, BYTES[seed.random_range(0..BYTES.len())]),
            2 => {
                let copy = out[at..end].to_vec();
                out.splice(at..at, copy);
            }
            3 if !other.is_empty() => {
                let from = seed.random_range(0..other.len());
                let to = (from + seed.random_range(0..16)).min(other.len());
                out.splice(at..end, other[from..to].iter().copied());
            }
            _ if at < out.len() => out[at] = seed.random(),
            _ => {}
        }
    }
    out
}

fn run(target: fn(&[u8]), input: &[u8], name: &str) {
    let caught = std::panic::catch_unwind(|| target(input));
    assert!(caught.is_ok(), "{name}: {:?}", String::from_utf8_lossy(input));
}

#[test]
fn the_corpus_and_its_neighbours_break_nothing() {
    let seconds = std::env::var("MILLRACE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5.0);
    let share = Duration::from_secs_f64(seconds / TARGETS.len() as f64);
    let number = if seconds > 5.0 { rand::random() } else { 7 };
    let mut seed = StdRng::seed_from_u64(number);
    for (name, target) in TARGETS {
        let inputs = corpus(name);
        assert!(!inputs.is_empty(), "no corpus for {name}");
        for (path, input) in &inputs {
            run(*target, input, &path.display().to_string());
        }
        let (start, mut rounds) = (Instant::now(), 0_u64);
        while start.elapsed() < share {
            let (_, input) = &inputs[seed.random_range(0..inputs.len())];
            let (_, other) = &inputs[seed.random_range(0..inputs.len())];
            run(*target, &broken(&mut seed, input, other), name);
            rounds += 1;
        }
        println!("{name}: {rounds} inputs, seed {number}");
    }
}
