//! What a user is told of a configuration that cannot work, and what must never be told.

use std::sync::Arc;

use millrace_sdk::config::KeyType;
use millrace_sdk::{Error, ErrorKind, Findings, Flat, Positions, Result};

use super::{Sink, Source, Verdict, context, untried};
use crate::drive::{Log, attempt, batch};
use crate::stand::{Broken, Place};

/// One that is plain, and one that URLs have to escape; both must not be found anywhere, nor what they stand for.
const SECRETS: &[&str] = &["Sesame-Open-4711", "p%40ss%2Fw%3Ard-4711"];
/// Parts of the secrets, as they are and unescaped.
const MARKS: &[&str] = &["Sesame-Open", "4711", "p%40ss", "p@ss"];

pub(crate) async fn sink_credentials(sink: Arc<Sink>) -> Verdict {
    let place = sink.place().await;
    let config = match sink.stand.wrong_credentials(&place) {
        Ok(config) => config,
        Err(reason) => return untried(reason),
    };
    refused(sink.plugin.check(&config, &context(&place, &config)).await);
    match sink.plugin.open(&config, context(&place, &config)).await {
        Err(error) => assert_eq!(error.kind(), ErrorKind::BadConfig, "opened: {}", error.chain()),
        Ok(task) => {
            let errors = attempt(task.as_ref(), &batch(Log::new(sink.stand).updates("k", 3, "x"))).await;
            assert!(!errors.is_empty(), "written with wrong credentials");
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::BadConfig, "written: {}", error.chain());
            }
        }
    }
    Verdict::Kept
}

pub(crate) async fn source_credentials(source: Arc<Source>) -> Verdict {
    let place = source.place().await;
    let config = match source.stand.wrong_credentials(&place) {
        Ok(config) => config,
        Err(reason) => return untried(reason),
    };
    refused(source.plugin.check(&config, &context(&place, &config)).await);
    Verdict::Kept
}

/// Refused as the configuration's fault, one way or the other.
fn refused(checked: Result<Findings>) -> String {
    match checked {
        Ok(findings) => {
            assert!(!findings.errors.is_empty(), "the check has nothing to say against it: {findings:?}");
            millrace_sdk::config::join(&findings.errors)
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::BadConfig, "{}", error.chain());
            error.chain()
        }
    }
}

fn assert_seen_through(broken: &Broken, told: &str) {
    assert!(told.contains(&broken.says), "{}: the answer does not name \"{}\": {told}", broken.what, broken.says);
}

pub(crate) async fn sink_check(sink: Arc<Sink>) -> Verdict {
    let place = sink.place().await;
    let checked = sink.plugin.check(&place.config, &context(&place, &place.config)).await;
    let findings = checked.unwrap_or_else(|error| panic!("a good configuration: {}", error.chain()));
    assert!(findings.errors.is_empty(), "a good configuration: {:?}", findings.errors);
    let found = sink.entry.validate(&place.config);
    assert!(found.errors.is_empty(), "a good configuration: {:?}", found.errors);
    for broken in sink.stand.broken(&place) {
        let told = refused(sink.plugin.check(&broken.config, &context(&place, &broken.config)).await);
        assert_seen_through(&broken, &told);
    }
    Verdict::Kept
}

pub(crate) async fn source_check(source: Arc<Source>) -> Verdict {
    let place = source.place().await;
    let checked = source.plugin.check(&place.config, &context(&place, &place.config)).await;
    let findings = checked.unwrap_or_else(|error| panic!("a good configuration: {}", error.chain()));
    assert!(findings.errors.is_empty(), "a good configuration: {:?}", findings.errors);
    let found = source.entry.validate(&place.config);
    assert!(found.errors.is_empty(), "a good configuration: {:?}", found.errors);
    for broken in source.stand.broken(&place) {
        let told = refused(source.plugin.check(&broken.config, &context(&place, &broken.config)).await);
        assert_seen_through(&broken, &told);
    }
    Verdict::Kept
}

/// The stand's configurations, and each with every key of type PASSWORD set that it does not set itself.
fn secret_configs(place: &Place, definition: &millrace_sdk::ConfigDef, own: Vec<Flat>, secret: &str) -> Vec<Flat> {
    let mut all = own;
    all.push(place.config.clone());
    for config in &mut all {
        for key in definition.keys.iter().filter(|key| key.kind == KeyType::Password) {
            config.entry(key.name.clone()).or_insert_with(|| secret.to_owned());
        }
    }
    all
}

#[derive(Default)]
struct Heard(Vec<String>);

impl Heard {
    fn findings(&mut self, findings: &Findings) {
        self.0.push(format!("{findings:?}"));
    }

    fn error(&mut self, error: &Error) {
        self.0.push(format!("{error} {error:?} {}", error.chain()));
    }

    fn checked(&mut self, checked: Result<Findings>) {
        match checked {
            Ok(findings) => self.findings(&findings),
            Err(error) => self.error(&error),
        }
    }

    fn assert_silent(&self) {
        for text in &self.0 {
            let told = MARKS.iter().find(|mark| text.contains(**mark));
            assert!(told.is_none(), "a secret was told ({told:?}): {text}");
        }
    }
}

pub(crate) async fn sink_secrets(sink: Arc<Sink>) -> Verdict {
    let place = sink.place().await;
    let mut heard = Heard::default();
    for secret in SECRETS {
        let own = sink.stand.with_secret(&place, secret);
        for config in secret_configs(&place, &sink.entry.announced.config, own, secret) {
            let context = context(&place, &config);
            heard.findings(&sink.entry.validate(&config));
            heard.checked(sink.plugin.check(&config, &context).await);
            match sink.plugin.open(&config, context).await {
                Ok(task) => {
                    let records = batch(Log::new(sink.stand).updates("k", 2, "x"));
                    attempt(task.as_ref(), &records).await.iter().for_each(|error| heard.error(error));
                }
                Err(error) => heard.error(&error),
            }
        }
    }
    heard.assert_silent();
    Verdict::Kept
}

pub(crate) async fn source_secrets(source: Arc<Source>) -> Verdict {
    let place = source.place().await;
    let mut heard = Heard::default();
    for secret in SECRETS {
        let own = source.stand.with_secret(&place, secret);
        for config in secret_configs(&place, &source.entry.announced.config, own, secret) {
            let context = context(&place, &config);
            heard.findings(&source.entry.validate(&config));
            heard.checked(source.plugin.check(&config, &context).await);
            if let Err(error) = source.plugin.plan(&config, 2).await {
                heard.error(&error);
            }
            if let Err(error) = source.plugin.open(&config, context, Positions::default()).await {
                heard.error(&error);
            }
        }
    }
    heard.assert_silent();
    Verdict::Kept
}
