//! The file connectors: a folder for the run, a file for each place. The sink's file is read as a log: the last line of a key
//! stands.

use std::io::Write as _;
use std::ops::Range;
use std::sync::OnceLock;

use millrace_sdk::{Flat, Position, SourceRecord, Value, async_trait};
use millrace_tests::unique;

use super::flat;
use crate::stand::{Broken, Place, Poison, Reason, SinkStand, SourceStand, State, TOPIC, json};

pub(crate) struct Sink;
pub(crate) struct Capture;
pub(crate) struct Source;

static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();

fn place(more: &[(&str, &str)]) -> Place {
    let name = unique("place");
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
    let file = folder.path().join(&name).display().to_string();
    let mut config = flat(more);
    config.insert("file".to_owned(), file);
    Place { name, config }
}

fn broken(place: &Place) -> Vec<Broken> {
    let folder = FOLDER.get().unwrap().path().display().to_string();
    vec![
        Broken { what: "a folder", config: place.with(&[("file", &folder)]), says: "is a directory".to_owned() },
        Broken { what: "no name", config: place.with(&[("file", " ")]), says: "file must not be empty".to_owned() },
    ]
}

pub(crate) fn clean() {
    if let Some(folder) = FOLDER.get() {
        let _ = std::fs::remove_dir_all(folder.path());
    }
}

/// `{k=…, n=…, body=…}`, as Java prints a map; the text may hold newlines.
fn entry(text: &str) -> Option<(String, (i64, usize))> {
    let (key, rest) = text.split_once(", n=")?;
    let (number, rest) = rest.split_once(", body=")?;
    let (body, _) = rest.split_once("}\n")?;
    Some((key.to_owned(), (number.parse().ok()?, body.len())))
}

#[async_trait]
impl SinkStand for Sink {
    fn server(&self) -> Option<String> {
        None
    }

    async fn place(&self, _: &str) -> Place {
        place(&[("topics", TOPIC)])
    }

    async fn state(&self, place: &Place) -> Result<State, Reason> {
        let text = std::fs::read_to_string(&place.config["file"]).unwrap();
        Ok(format!("\n{text}").split("\n{k=").skip(1).filter_map(|piece| entry(&format!("{piece}\n"))).collect())
    }

    fn deletes(&self) -> bool {
        false
    }

    fn poisons(&self) -> Result<Vec<Poison>, Reason> {
        // Of all values only those that no converter hands over cannot be printed.
        Ok(vec![Poison { what: "torn JSON", make: |key| (key, json("{\"n\":")), says: "JSON" }])
    }

    fn too_large(&self) -> Result<usize, Reason> {
        Err("a file takes lines of any length")
    }

    fn wrong_credentials(&self, _: &Place) -> Result<Flat, Reason> {
        Err("a file asks for no credentials")
    }

    fn broken(&self, place: &Place) -> Vec<Broken> {
        let mut all = broken(place);
        let config = place.with(&[("file", "/no/such/folder/file")]);
        all.push(Broken { what: "no such folder", config, says: "does not exist".to_owned() });
        all
    }

    fn with_secret(&self, _: &Place, _: &str) -> Vec<Flat> {
        Vec::new()
    }

    async fn throttle(&self, _: &Place, _: bool) -> Result<(), Reason> {
        Err("a file does not refuse for a while")
    }
}

/// A line of the capture sink: a map without a schema is a list of pairs.
fn captured(line: &str) -> Option<(String, (i64, usize))> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = line["value"]["value"]["map"].as_array()?;
    let field = |name: &str| fields.iter().rev().find(|field| field[0] == name).map(|field| &field[1]);
    Some((field("k")?.as_str()?.to_owned(), (field("n")?.as_i64()?, field("body")?.as_str()?.len())))
}

/// The file sink's stand, with another form of lines.
#[async_trait]
impl SinkStand for Capture {
    fn server(&self) -> Option<String> {
        None
    }

    async fn place(&self, _: &str) -> Place {
        place(&[("topics", TOPIC)])
    }

    async fn state(&self, place: &Place) -> Result<State, Reason> {
        let text = std::fs::read_to_string(&place.config["file"]).unwrap();
        Ok(text.lines().filter_map(captured).collect())
    }

    fn deletes(&self) -> bool {
        false
    }

    fn poisons(&self) -> Result<Vec<Poison>, Reason> {
        Sink.poisons()
    }

    fn too_large(&self) -> Result<usize, Reason> {
        Sink.too_large()
    }

    fn wrong_credentials(&self, place: &Place) -> Result<Flat, Reason> {
        SinkStand::wrong_credentials(&Sink, place)
    }

    fn broken(&self, place: &Place) -> Vec<Broken> {
        SinkStand::broken(&Sink, place)
    }

    fn with_secret(&self, _: &Place, _: &str) -> Vec<Flat> {
        Vec::new()
    }

    async fn throttle(&self, place: &Place, on: bool) -> Result<(), Reason> {
        Sink.throttle(place, on).await
    }
}

#[async_trait]
impl SourceStand for Source {
    fn server(&self) -> Option<String> {
        None
    }

    async fn place(&self, _: &str) -> Place {
        place(&[("topic", TOPIC), ("batch.size", "5")])
    }

    async fn feed(&self, place: &Place, numbers: Range<i64>) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&place.config["file"]).unwrap();
        for number in numbers {
            writeln!(file, "number {number}").unwrap();
        }
    }

    fn number(&self, record: &SourceRecord) -> i64 {
        let Value::Str(text) = record.value.value() else { panic!("a line is a text: {record:?}") };
        text.strip_prefix("number ").unwrap().parse().unwrap()
    }

    fn wrong_credentials(&self, _: &Place) -> Result<Flat, Reason> {
        Err("a file asks for no credentials")
    }

    fn broken(&self, place: &Place) -> Vec<Broken> {
        broken(place)
    }

    fn with_secret(&self, _: &Place, _: &str) -> Vec<Flat> {
        Vec::new()
    }

    fn nonsense(&self, position: &Position) -> Position {
        let mut spoilt = position.clone();
        spoilt.offset.insert("position".to_owned(), "nowhere".into());
        spoilt
    }
}
