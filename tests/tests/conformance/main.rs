//! The conformance suite: every connector of the catalogue under the same rules, against its real store. Nobody is left out:
//! an entry of the catalogue that no stand here knows fails by name.
//!
//! A *rule* (`rules/`) is what the contract of the SDK demands. A *stand* (`stands/`) is what has to be known of a store to
//! try it: a configuration, how to look into the store, what it can never take. Each pair is a test, named `class::rule`;
//! where a store at hand cannot show something, the stand says why and the test is listed as ignored with that reason.

#![allow(clippy::unwrap_used)] // a test fails by panicking

mod drive;
mod rules;
mod stand;
mod stands;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use millrace_data_plane::catalog::{Catalog, FileAccess};
use millrace_sdk::ConnectorKind;
use tokio::runtime::Runtime;

use rules::{Entry, Sink, Source, Verdict};

/// A rule that takes longer is worth a look: all of them together should take a minute.
const LONG: Duration = Duration::from_secs(8);

fn main() {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new().unwrap());
    let catalog = Arc::new(Catalog::standard(&FileAccess::Anywhere));
    let conclusion = libtest_mimic::run(&arguments, trials(&runtime, &catalog));
    if !arguments.list {
        runtime.block_on(stands::clean());
    }
    conclusion.exit();
}

fn trials(runtime: &Arc<Runtime>, catalog: &Arc<Catalog>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for announced in catalog.announce() {
        let class = announced.class.clone();
        let kind = announced.kind;
        let entry = Arc::new(Entry { catalog: Arc::clone(catalog), announced });
        for (name, rule) in rules::schema::RULES {
            let entry = Arc::clone(&entry);
            trials.push(trial(runtime, &class, name, async move { rule(&entry) }));
        }
        match kind {
            ConnectorKind::Sink => match stands::sink(&class) {
                Some(stand) => {
                    let sink = Arc::new(Sink { entry, plugin: catalog.sink(&class).unwrap(), stand });
                    for (name, rule) in rules::SINK {
                        trials.push(trial(runtime, &class, name, rule(Arc::clone(&sink))));
                    }
                }
                None => trials.push(without_a_stand(&class)),
            },
            ConnectorKind::Source => match stands::source(&class) {
                Some(stand) => {
                    let source = Arc::new(Source { entry, plugin: catalog.source(&class).unwrap(), stand });
                    for (name, rule) in rules::SOURCE {
                        trials.push(trial(runtime, &class, name, rule(Arc::clone(&source))));
                    }
                }
                None => trials.push(without_a_stand(&class)),
            },
        }
    }
    trials
}

fn trial(
    runtime: &Arc<Runtime>,
    class: &str,
    rule: &str,
    run: impl Future<Output = Verdict> + Send + 'static,
) -> Trial {
    let runtime = Arc::clone(runtime);
    let name = format!("{class}::{}", rule.replace(' ', "_"));
    Trial::ignorable_test(name.clone(), move || {
        let begun = Instant::now();
        let verdict = runtime.block_on(run);
        if begun.elapsed() > LONG {
            eprintln!("{name} took {:?}", begun.elapsed());
        }
        Ok(match verdict {
            Verdict::Kept => Completion::Completed,
            Verdict::Untried(reason) => Completion::ignored_with(reason),
        })
    })
}

fn without_a_stand(class: &str) -> Trial {
    let message = format!(
        "the catalogue has {class}, and tests/tests/conformance/stands knows no stand for it: write one and name it in \
         stands/mod.rs; no connector is exempt"
    );
    Trial::test(format!("{class}::has_a_stand"), move || Err(Failed::from(message)))
}
