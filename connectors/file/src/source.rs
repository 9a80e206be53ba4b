//! The file source. Its position is a number of bytes, and each poll reads from there: nothing is held between polls, so a
//! dropped poll loses nothing and a worker that takes over goes on at the same byte.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use millrace_sdk::{
    Datum, Error, ExactlyOnce, Findings, Flat, Position, Positions, Problem, Result, Schema, SourceBatch,
    SourceConnector, SourceRecord, SourceTask, TaskContext, Text, Type, Value, async_trait,
};
use serde_json::{Map, Value as Json};

use crate::SourceConfig;
use crate::lines::split;

/// How often a file is looked at that has nothing new; Connect's own interval.
const WAIT: Duration = Duration::from_secs(1);

/// Read at once, at the most; more only for a line that is longer.
const CHUNK: usize = 1 << 20;

/// Read at once, at the least.
const LEAST_CHUNK: usize = 1 << 16;

/// A line longer than this is refused rather than held in memory.
const LONGEST_LINE: usize = 64 << 20;

/// Reads a file line by line.
#[derive(Debug, Default, Clone, Copy)]
pub struct Source;

/// The running task.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    topic: String,
    batch_size: usize,
    position: u64,
    /// What a batch will probably take: what is read beyond it is read again
    chunk: usize,
    partition: Map<String, Json>,
    schema: Arc<Schema>,
}

#[async_trait]
impl SourceConnector for Source {
    const NAME: &'static str = "file-source";
    const ALIASES: &'static [&'static str] =
        &["org.apache.kafka.connect.file.FileStreamSourceConnector", "FileStreamSourceConnector", "FileStreamSource"];
    const DESCRIPTION: &'static str =
        "Reads a file line by line and follows it as it grows, as Kafka Connect's FileStreamSource.";
    type Config = SourceConfig;
    type Task = FileSource;

    fn exactly_once(&self, _: &SourceConfig) -> ExactlyOnce {
        ExactlyOnce::Supported
    }

    async fn check(&self, config: &SourceConfig, _: &TaskContext) -> Result<Findings> {
        let mut findings = Findings::default();
        let path = Path::new(&config.file);
        if path.is_dir() {
            findings.errors.push(Problem::new("file", format!("{} is a directory, not a file", config.file)));
        } else if !path.exists() {
            findings
                .warnings
                .push(Problem::new("file", format!("{} does not exist yet; it is waited for", config.file)));
        }
        Ok(findings)
    }

    /// A file is read by one task however many are allowed, as in Connect.
    async fn plan(&self, _: &SourceConfig, _: u32) -> Result<Vec<Flat>> {
        Ok(vec![Flat::new()])
    }

    async fn open(&self, config: SourceConfig, _: TaskContext, positions: Positions) -> Result<FileSource> {
        let mut partition = Map::new();
        partition.insert("filename".to_owned(), Json::String(config.file.clone()));
        let position = match positions.get(&partition).and_then(|offset| offset.get("position")) {
            None => 0,
            Some(position) => position.as_u64().ok_or_else(|| {
                Error::bad_config(format!(
                    "the stored position of {} is not a number of bytes; reset the connector's offsets",
                    config.file
                ))
            })?,
        };
        let schema = Arc::new(Schema::of(Type::String));
        let batch_size = usize::try_from(config.batch_size).unwrap_or(2000);
        let (path, topic) = (config.file.into(), config.topic);
        Ok(FileSource { path, topic, batch_size, position, chunk: LEAST_CHUNK, partition, schema })
    }
}

#[async_trait]
impl SourceTask for FileSource {
    async fn poll(&mut self) -> Result<SourceBatch> {
        loop {
            let (path, position, limit, chunk) = (self.path.clone(), self.position, self.batch_size, self.chunk);
            let read = tokio::task::spawn_blocking(move || read_lines(&path, position, limit, chunk)).await;
            let lines = read.map_err(|cause| Error::internal("reading the file was cut short").because(cause))??;
            if let Some(lines) = lines {
                return Ok(self.batch(lines));
            }
            tokio::time::sleep(WAIT).await;
        }
    }
}

/// Complete lines, and how many bytes they and their ends take.
struct Lines {
    texts: Vec<Text>,
    taken: usize,
}

impl FileSource {
    fn batch(&mut self, lines: Lines) -> SourceBatch {
        self.position += lines.taken as u64;
        let usual = lines.taken / lines.texts.len().max(1) * self.batch_size;
        self.chunk = (usual + usual / 16).clamp(LEAST_CHUNK, CHUNK);
        // As Kafka Connect's: when the line was read.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let record = |text| SourceRecord {
            topic: self.topic.clone(),
            partition: None,
            key: Datum::Null,
            value: Datum::Decoded { schema: Some(self.schema.clone()), value: Value::Str(text) },
            headers: Vec::new(),
            timestamp_ms: Some(now),
        };
        let mut offset = Map::new();
        offset.insert("position".to_owned(), Json::from(self.position));
        SourceBatch {
            records: lines.texts.into_iter().map(record).collect(),
            positions: vec![Position { partition: self.partition.clone(), offset }],
            ..SourceBatch::default()
        }
    }
}

/// The next complete lines of the `chunk` bytes from `position` on; None when there is none yet.
fn read_lines(path: &Path, position: u64, limit: usize, mut chunk: usize) -> Result<Option<Lines>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, error)),
    };
    let length = file.metadata().map_err(|error| unreadable(path, error))?.len();
    if length < position {
        return Err(Error::bad_config(format!(
            "{} has {length} bytes, fewer than were already read ({position}): it was cut or replaced; reset the \
             connector's offsets to read it from the start",
            path.display()
        )));
    }
    loop {
        file.seek(SeekFrom::Start(position)).map_err(|error| unreadable(path, error))?;
        // One byte more than is read, which tells `read_to_end` that there is room enough.
        let mut buffer = Vec::with_capacity(chunk + 1);
        file.by_ref().take(chunk as u64).read_to_end(&mut buffer).map_err(|error| unreadable(path, error))?;
        let complete = buffer.len() < chunk;
        let (ranges, taken) = split(&buffer, limit);
        if !ranges.is_empty() {
            let bytes = Bytes::from(buffer);
            let texts = ranges.into_iter().map(|range| text(&bytes, range)).collect();
            return Ok(Some(Lines { texts, taken }));
        }
        if complete {
            return Ok(None);
        }
        if chunk >= LONGEST_LINE {
            return Err(Error::bad_config(format!(
                "{} has a line of more than {} MiB at byte {position}",
                path.display(),
                LONGEST_LINE >> 20
            )));
        }
        chunk *= 2;
    }
}

/// UTF-8, with U+FFFD in place of what is not, as Java decodes.
fn text(bytes: &Bytes, range: Range<usize>) -> Text {
    match Text::slice(bytes, range.clone()) {
        Ok(text) => text,
        Err(_) => Text::from(String::from_utf8_lossy(&bytes[range]).into_owned()),
    }
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    let message = format!("cannot read {}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory => Error::bad_config(message),
        _ => Error::transient(message),
    }
    .because(error)
}

#[cfg(test)]
mod tests;
