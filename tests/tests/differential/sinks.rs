//! Sinks on both sides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use millrace_tests::kafka::{RawRecord, create_topics, produce_raw};
use millrace_tests::rest::Rest;
use millrace_tests::standalone::Standalone;
use millrace_tests::{server, unique};

use crate::case::Case;
use crate::compare::{Mismatch, mismatches};
use crate::intended::INTENDED;
use crate::run::{Job, Outcome, Side, Topic, Topics, plain};
use crate::sets::{self, Set, SetId};
use crate::{chosen, matrix, registry, runs_all};

/// Produces every set to a topic of its own.
async fn topics() -> (BTreeMap<SetId, Set>, Arc<Topics>) {
    let mut topics = Topics::new();
    let mut all = BTreeMap::new();
    for id in sets::ALL {
        let set = id.samples();
        let last = i64::try_from(set.samples.len()).unwrap() - 1;
        topics.insert(*id, Topic { name: unique(id.topic()), last });
        all.insert(*id, set);
    }
    create_topics(&topics.values().map(|topic| topic.name.clone()).collect::<Vec<_>>()).await;
    for (id, topic) in &topics {
        let mut records: Vec<RawRecord> = all[id].samples.iter().map(|sample| sample.record.clone()).collect();
        registry::register(*id, &mut records).await;
        produce_raw(&topic.name, &records);
    }
    (all, Arc::new(topics))
}

fn job(case: &Case, run: &str) -> Job {
    Job { name: format!("{}.{run}", case.name), set: case.set, config: case.config.clone() }
}

/// The proofs of a case: the same job with an option switched off.
fn proof_jobs(cases: &[Case], run: &str) -> Vec<(usize, String, Job)> {
    let of = |(index, case): (usize, &Case)| {
        let jobs: Vec<_> = case
            .proofs
            .iter()
            .enumerate()
            .map(|(number, proof)| {
                let name = format!("{}.without-{number}.{run}", case.name);
                (index, proof.option.clone(), Job { name, set: case.set, config: proof.config.clone() })
            })
            .collect();
        jobs
    };
    cases.iter().enumerate().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_are_given_what_kafka_connect_gives_them() {
    let cases = chosen(matrix::sinks());
    if cases.is_empty() {
        return;
    }
    let begun = Instant::now();
    let (sets, topics) = topics().await;
    let mut standalone = Standalone::start().await;
    let folder = standalone.folder().to_owned();
    let letters = [unique("letters-connect"), unique("letters-millrace")];
    create_topics(&[&letters[..], &letters.each_ref().map(|topic| plain(topic))].concat()).await;
    let [theirs, ours] = letters;
    let connect = Rest::new(server("CONNECT_URL"));
    let class = "millrace.test.CaptureSinkConnector";
    let connect = Side::new("connect", connect, class, folder.clone(), theirs, Arc::clone(&topics));
    let millrace = Side::new("millrace", standalone.rest(), "capture-sink", folder, ours, topics);

    let run = unique("run");
    let jobs: Vec<Job> = cases.iter().map(|case| job(case, &run)).collect();
    let (theirs, ours) = tokio::join!(connect.run(&jobs), millrace.run(&jobs));
    println!("{} configurations on both sides in {:.1} s", cases.len(), begun.elapsed().as_secs_f32());
    let mut found = Vec::new();
    for (case, (connect, millrace)) in cases.iter().zip(theirs.iter().zip(&ours)) {
        found.extend(mismatches(&case.name, &sets[&case.set], connect, millrace));
    }
    let unproven = unproven(&cases, &millrace, &ours, &run).await;
    println!("with the switched-off ones {:.1} s", begun.elapsed().as_secs_f32());
    assert!(standalone.process().is_running(), "millrace has ended");
    judge(found, unproven, runs_all() && std::env::var("DIFFERENTIAL_CASES").is_err());
}

/// Options that may as well be ignored for all that their cases show.
async fn unproven(cases: &[Case], millrace: &Side, with: &[Outcome], run: &str) -> Vec<String> {
    let proofs = proof_jobs(cases, run);
    let (which, jobs): (Vec<_>, Vec<_>) = proofs.into_iter().map(|(index, option, job)| ((index, option), job)).unzip();
    let without = millrace.run(&jobs).await;
    let set = |index: usize| cases[index].set.samples();
    which
        .iter()
        .zip(&without)
        .filter(|((index, _), without)| mismatches("", &set(*index), &with[*index], without).is_empty())
        .map(|((index, option), _)| format!("{} does not show that {option} is heeded", cases[*index].name))
        .collect()
}

/// Nothing differs but what is meant to, and that does when everything has been tried.
pub(crate) fn judge(found: Vec<Mismatch>, mut problems: Vec<String>, everything: bool) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unknown = 0;
    for mismatch in &found {
        match INTENDED.iter().find(|intended| intended.covers(mismatch)) {
            Some(intended) => {
                *seen.entry(intended.name).or_default() += 1;
            }
            None => {
                unknown += 1;
                problems.push(mismatch.to_string());
            }
        }
    }
    println!("{} differences on purpose, {unknown} others; by kind: {seen:?}", found.len() - unknown);
    if everything {
        let gone = INTENDED.iter().filter(|intended| !seen.contains_key(intended.name));
        problems.extend(gone.map(|intended| format!("{} no longer differs: take it off the list", intended.name)));
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
