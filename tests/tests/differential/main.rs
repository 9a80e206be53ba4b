//! Equality with Kafka Connect, by running it: the same configurations, posted to a real Kafka Connect and to Millrace on
//! the same topics, give connectors the same records, dead letters the same content, and tasks the same end. What is meant
//! to differ is listed in `intended` and explained in `docs/differences.md`.
//!
//! `make test` runs a selection, `make differential` (`DIFFERENTIAL=all`) every case and every proof; a text in
//! `DIFFERENTIAL_CASES` chooses the cases whose names begin with it.

// A helper that cannot go on fails its test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod case;
mod compare;
mod coverage;
mod intended;
mod matrix;
mod printed;
mod registry;
mod run;
mod sets;
mod sinks;
mod sources;

use case::Case;

/// The cases that this run is about.
fn chosen(cases: Vec<Case>) -> Vec<Case> {
    let begins = std::env::var("DIFFERENTIAL_CASES").unwrap_or_default();
    let all = runs_all() || !begins.is_empty();
    cases.into_iter().filter(|case| (all || case.selected) && case.name.starts_with(&begins)).collect()
}

fn runs_all() -> bool {
    std::env::var("DIFFERENTIAL").is_ok_and(|which| which == "all")
}
