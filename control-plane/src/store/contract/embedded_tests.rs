//! What only the embedded store promises: it is there after a crash, whatever the crash tore.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::super::embedded::EmbeddedStore;
use super::super::*;

fn put(key: &str, value: Vec<u8>) -> Write {
    Write::Put { key: key.to_owned(), value, lease: None }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

async fn write(store: &EmbeddedStore, writes: Vec<Write>) -> i64 {
    store.commit(Commit { guards: Vec::new(), writes }).await.expect("committed")
}

async fn contents(store: &EmbeddedStore) -> BTreeMap<String, Entry> {
    let listing = store.list("").await.expect("listed");
    listing.entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect()
}

#[tokio::test]
async fn it_is_there_after_it_was_closed_and_revisions_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data/store");
    let store = EmbeddedStore::open(&path).expect("opened");
    let mode = std::fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let lease = store.grant(Duration::from_secs(60)).await.expect("granted");
    write(&store, vec![put("a", b"1".to_vec()), put("b", b"2".to_vec()), put("hidden", b"3".to_vec())]).await;
    let leased = |key: &str| Write::Put { key: key.to_owned(), value: Vec::new(), lease: Some(lease) };
    let last = write(&store, vec![leased("leased"), leased("hidden"), Write::Delete { key: "b".to_owned() }]).await;
    let a = store.get("a").await.expect("read").expect("there");
    drop(store);

    let store = EmbeddedStore::open(&path).expect("opened again");
    assert_eq!(contents(&store).await, BTreeMap::from([("a".to_owned(), a)]));
    let mut behind = store.watch("", last).await.expect("watched");
    assert_eq!(futures::StreamExt::next(&mut behind).await, Some(Event::Reset));
    assert!(write(&store, vec![put("c", Vec::new())]).await > last);
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let store = EmbeddedStore::open(&path).expect("opened");
    let refused = EmbeddedStore::open(&path).err().expect("in use").to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
    drop(store);
    EmbeddedStore::open(&path).expect("free again");
}

#[tokio::test]
async fn a_file_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    std::fs::write(&path, "precious notes").expect("written");
    let refused = EmbeddedStore::open(&path).err().expect("not ours").to_string();
    assert!(refused.contains("not a store of Millrace"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "precious notes");
}

#[tokio::test]
async fn it_is_compacted_and_keeps_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store");
    let store = EmbeddedStore::open(&path).expect("opened");
    for n in 0..60_u8 {
        write(&store, vec![put("large", vec![n; 300_000]), put(&format!("k{n}"), vec![n])]).await;
    }
    let before = contents(&store).await;
    drop(store);
    let length = std::fs::metadata(&path).expect("there").len();
    assert!(length < 8_000_000, "{length} bytes for 300 kB");
    assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    let store = EmbeddedStore::open(&path).expect("opened again");
    assert_eq!(contents(&store).await, before);
}

/// What a crash leaves: the file up to some byte, perhaps with rubbish or zeros after it.
fn crashed_copy(bytes: &[u8], length: usize, tail: &[u8], path: &Path) {
    let mut copy = bytes[..length].to_vec();
    copy.extend_from_slice(tail);
    std::fs::write(path, copy).expect("copied");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn after_a_crash_it_holds_what_was_acknowledged(
        commits in proptest::collection::vec(
            proptest::collection::vec((0_u8..6, proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40))), 1..4),
            1..12,
        ),
        cut in any::<prop::sample::Index>(),
        zeros in 0_usize..40,
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store");
        // After each commit: the length of the file, and what it must hold.
        let mut history = Vec::new();
        runtime().block_on(async {
            let store = EmbeddedStore::open(&path).expect("opened");
            history.push((std::fs::metadata(&path).expect("there").len(), BTreeMap::new()));
            for commit in &commits {
                let mut writes = BTreeMap::new();
                for (key, value) in commit {
                    let key = format!("k{key}");
                    let write = match value {
                        Some(value) => put(&key, value.clone()),
                        None => Write::Delete { key: key.clone() },
                    };
                    writes.insert(key, write);
                }
                write(&store, writes.into_values().collect()).await;
                history.push((std::fs::metadata(&path).expect("there").len(), contents(&store).await));
            }
        });
        let bytes = std::fs::read(&path).expect("read");
        let length = cut.index(bytes.len() + 1);
        let copy = folder.path().join("copy");
        crashed_copy(&bytes, length, &vec![0; zeros], &copy);
        // Zeros may be what stood there: that much was not lost.
        let torn = std::fs::read(&copy).expect("read");
        let length = bytes.iter().zip(&torn).take_while(|(whole, torn)| whole == torn).count();
        let magic_is_whole = length as u64 >= history[0].0;
        runtime().block_on(async {
            let expected = history.iter().rev().find(|(end, _)| *end <= length as u64);
            match (EmbeddedStore::open(&copy), expected) {
                (Ok(store), Some((_, expected))) => {
                    assert_eq!(&contents(&store).await, expected);
                    // And it goes on from there.
                    write(&store, vec![put("new", b"1".to_vec())]).await;
                    drop(store);
                    let again = EmbeddedStore::open(&copy).expect("opened again");
                    assert_eq!(contents(&again).await.len(), expected.len() + 1);
                }
                (Ok(store), None) => assert!(contents(&store).await.is_empty()),
                (Err(error), _) => assert!(!magic_is_whole, "{error}"),
            }
        });
    }

    #[test]
    fn damage_in_the_middle_is_refused_or_harmless(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store");
        let full = runtime().block_on(async {
            let store = EmbeddedStore::open(&path).expect("opened");
            for n in 0..10_u8 {
                write(&store, vec![put(&format!("k{n}"), vec![n; 30])]).await;
            }
            contents(&store).await
        });
        let mut bytes = std::fs::read(&path).expect("read");
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        std::fs::write(&path, &bytes).expect("written");
        if let Ok(store) = EmbeddedStore::open(&path) {
            // Whatever is read is true, if perhaps not the newest.
            let read = runtime().block_on(contents(&store));
            for (key, entry) in read {
                prop_assert_eq!(Some(&entry), full.get(&key));
            }
        }
    }
}
