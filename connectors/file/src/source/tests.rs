use std::fs;
use std::io::Write as _;
use std::time::Duration;

use super::*;

fn config(path: &Path) -> SourceConfig {
    SourceConfig { file: path.display().to_string(), topic: "lines".to_owned(), batch_size: 2 }
}

fn context() -> TaskContext {
    TaskContext {
        tenant: "default".to_owned(),
        connector: "file".to_owned(),
        task: 0,
        tasks_total: 1,
        generation: 1,
        topics: Vec::new(),
        config: Arc::new(Flat::new()),
        ..TaskContext::default()
    }
}

fn texts(batch: &SourceBatch) -> Vec<String> {
    let text = |record: &SourceRecord| match &record.value {
        Datum::Decoded { value: Value::Str(text), .. } => text.to_string(),
        other => panic!("not text: {other:?}"),
    };
    batch.records.iter().map(text).collect()
}

async fn next(task: &mut FileSource) -> SourceBatch {
    tokio::time::timeout(Duration::from_secs(10), task.poll()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_file_is_awaited_read_followed_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.txt");
    let mut task = Source.open(config(&path), context(), Positions::default()).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), task.poll()).await.is_err(), "there is nothing to read");

    fs::write(&path, "one\ntwo\r\nthree\nfo").unwrap();
    assert_eq!(texts(&next(&mut task).await), ["one", "two"]);
    let last = next(&mut task).await;
    assert_eq!(texts(&last), ["three"]);
    assert_eq!(last.positions[0].offset["position"], 15);
    assert_eq!(last.positions[0].partition["filename"], path.display().to_string());

    // A cancelled poll loses nothing, and the rest of a line completes it.
    assert!(tokio::time::timeout(Duration::from_millis(50), task.poll()).await.is_err(), "half a line is held back");
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"ur\nfive\n").unwrap();
    let positions = Positions(last.positions);
    assert_eq!(texts(&next(&mut task).await), ["four", "five"]);

    let mut again = Source.open(config(&path), context(), positions).await.unwrap();
    assert_eq!(texts(&next(&mut again).await), ["four", "five"]);
}

#[tokio::test]
async fn a_cut_file_is_no_silent_gap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.txt");
    fs::write(&path, "one\ntwo\n").unwrap();
    let mut task = Source.open(config(&path), context(), Positions::default()).await.unwrap();
    next(&mut task).await;
    fs::write(&path, "x\n").unwrap();
    let error = task.poll().await.unwrap_err();
    assert_eq!(error.kind().name(), "bad-config");
    assert!(error.to_string().contains("2 bytes, fewer than were already read (8)"), "{error}");
}

#[test]
fn a_line_longer_than_a_chunk_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.txt");
    let long = "x".repeat(CHUNK + 5);
    fs::write(&path, format!("{long}\n")).unwrap();
    let lines = read_lines(&path, 0, 10, CHUNK).unwrap().unwrap();
    assert_eq!((lines.texts[0].len(), lines.taken), (CHUNK + 5, CHUNK + 6));
}
