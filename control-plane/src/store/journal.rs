//! The embedded store's file: one frame per commit, synced before the commit is acknowledged.
//!
//! ```text
//! file  = "MILLRACE-STORE-1\n" frame*
//! frame = length u32 · checksum [u8; 8] (of the payload, SHA-256 cut short) · payload
//! payload = revision i64 · change*
//! change  = 1 · key · created i64 · revision i64 · value  |  0 · key          (strings: length u32 · bytes)
//! ```
//! A frame that ends beyond the file was torn by a crash: nobody was told that it is there, so it is cut off. A bad frame
//! with others behind it is damage, and is refused. Leased keys are not recorded (they end with the process), only that
//! a revision passed.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Entry;
use super::engine::Change;

const MAGIC: &[u8] = b"MILLRACE-STORE-1\n";
const HEADER: usize = 12;
/// Below this size a file is not compacted.
const SMALL_FILE: u64 = 4 * 1024 * 1024;
/// A file is compacted when it has grown to this many times its size after the last compaction.
const GROWTH: u64 = 4;
/// Payload of a frame written by a compaction, roughly.
const CHUNK: usize = 1024 * 1024;

/// The open file; the lock is held as long as it lives.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    compact_at: u64,
    /// Why nothing can be recorded any more
    broken: Option<String>,
    _lock: File,
}

/// What a file held.
pub(super) struct Recovered {
    /// Of the last commit; None for a new file
    pub(super) revision: Option<i64>,
    pub(super) entries: Vec<Entry>,
}

impl Journal {
    pub(super) fn open(path: &Path) -> Result<(Self, Recovered), String> {
        let lock = lock(path)?;
        let fail = |doing: &str, error: std::io::Error| format!("cannot {doing} {}: {error}", path.display());
        let mut file = options().open(path).map_err(|e| fail("open", e))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| fail("read", e))?;
        if bytes.len() < MAGIC.len() && MAGIC.starts_with(&bytes) {
            file.set_len(0).map_err(|e| fail("write", e))?;
            file.seek(SeekFrom::Start(0)).map_err(|e| fail("write", e))?;
            file.write_all(MAGIC).and_then(|()| file.sync_all()).map_err(|e| fail("write", e))?;
            sync_folder(path).map_err(|e| fail("make", e))?;
            bytes = MAGIC.to_vec();
        }
        let (recovered, length) = recover(&bytes).map_err(|why| format!("{}: {why}", path.display()))?;
        if length < bytes.len() {
            tracing::warn!(path = %path.display(), bytes = bytes.len() - length, "cut off a commit that a crash had torn");
            file.set_len(length as u64).and_then(|()| file.sync_all()).map_err(|e| fail("truncate", e))?;
        }
        file.seek(SeekFrom::End(0)).map_err(|e| fail("open", e))?;
        let length = length as u64;
        let path = path.to_owned();
        let compact_at = SMALL_FILE.max(length.saturating_mul(2));
        Ok((Self { path, file, length, compact_at, broken: None, _lock: lock }, recovered))
    }

    /// Appends a commit and waits until it is on the disk. After an error the commit has not happened.
    pub(super) fn record(&mut self, revision: i64, changes: &[Change]) -> Result<(), String> {
        if let Some(why) = &self.broken {
            return Err(why.clone());
        }
        let mut payload = revision.to_le_bytes().to_vec();
        for change in changes {
            match change {
                Change::Put { entry, lease: None } => put(&mut payload, entry),
                // A leased key hides a lasting one of that name, if there was one.
                Change::Put { entry: Entry { key, .. }, lease: Some(_) } | Change::Delete { key } => {
                    delete(&mut payload, key);
                }
            }
        }
        let frame = frame(&payload);
        let written = self.file.write_all(&frame).and_then(|()| self.file.sync_data());
        let Err(error) = written else {
            self.length += frame.len() as u64;
            return Ok(());
        };
        let why = format!("cannot write {}: {error}", self.path.display());
        let undone = self.file.set_len(self.length).and_then(|()| self.file.sync_all());
        if undone.and_then(|()| self.file.seek(SeekFrom::End(0))).is_err() {
            self.broken = Some(format!("{why}; restart the process when the disk is well again"));
        }
        Err(why)
    }

    pub(super) fn wants_compaction(&self) -> bool {
        self.length >= self.compact_at
    }

    /// Replaces the file by one that holds only what is there now.
    pub(super) fn compact(&mut self, revision: i64, entries: &[Entry]) -> Result<(), String> {
        // However it ends, not again with the next commit.
        self.compact_at = self.length.saturating_mul(2);
        let new = beside(&self.path, "new");
        let (file, length) = write_snapshot(&new, revision, entries)
            .map_err(|error| format!("cannot write {}: {error}", new.display()))?;
        std::fs::rename(&new, &self.path).map_err(|error| format!("cannot rename {}: {error}", new.display()))?;
        // From here on the new file is the store, whatever happens.
        self.file = file;
        self.length = length;
        self.compact_at = SMALL_FILE.max(length.saturating_mul(GROWTH));
        sync_folder(&self.path).map_err(|error| format!("cannot sync the folder of {}: {error}", self.path.display()))
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn lock(path: &Path) -> Result<File, String> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
    }
    let name = beside(path, "lock");
    let file = options().open(&name).map_err(|error| format!("cannot open {}: {error}", name.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(format!(
            "{} is in use by another process; stop that one, or give this one a store of its own",
            path.display()
        )),
        Err(TryLockError::Error(error)) => Err(format!("cannot lock {}: {error}", name.display())),
    }
}

fn write_snapshot(path: &Path, revision: i64, entries: &[Entry]) -> std::io::Result<(File, u64)> {
    let mut file = options().open(path)?;
    file.set_len(0)?;
    file.write_all(MAGIC)?;
    let mut length = MAGIC.len() as u64;
    let mut payload = revision.to_le_bytes().to_vec();
    for entry in entries {
        put(&mut payload, entry);
        if payload.len() >= CHUNK {
            let full = frame(&payload);
            file.write_all(&full)?;
            length += full.len() as u64;
            payload.truncate(8);
        }
    }
    let last = frame(&payload);
    file.write_all(&last)?;
    file.sync_all()?;
    Ok((file, length + last.len() as u64))
}

fn checksum(payload: &[u8]) -> [u8; 8] {
    let digest = ring::digest::digest(&ring::digest::SHA256, payload);
    let mut short = [0; 8];
    short.copy_from_slice(&digest.as_ref()[..8]);
    short
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    frame.extend_from_slice(&length(payload));
    frame.extend_from_slice(&checksum(payload));
    frame.extend_from_slice(payload);
    frame
}

fn length(bytes: &[u8]) -> [u8; 4] {
    // Limits keep every commit far below 4 GiB.
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

fn put(payload: &mut Vec<u8>, entry: &Entry) {
    payload.push(1);
    text(payload, entry.key.as_bytes());
    payload.extend_from_slice(&entry.created.to_le_bytes());
    payload.extend_from_slice(&entry.revision.to_le_bytes());
    text(payload, &entry.value);
}

fn delete(payload: &mut Vec<u8>, key: &str) {
    payload.push(0);
    text(payload, key.as_bytes());
}

fn text(payload: &mut Vec<u8>, bytes: &[u8]) {
    payload.extend_from_slice(&length(bytes));
    payload.extend_from_slice(bytes);
}

/// Reads all whole frames; answers where they end.
fn recover(bytes: &[u8]) -> Result<(Recovered, usize), String> {
    let mut at = MAGIC.len();
    if !bytes.starts_with(MAGIC) {
        return Err("this is not a store of Millrace; name another file".to_owned());
    }
    let mut entries = BTreeMap::new();
    let mut revision = None;
    while at < bytes.len() {
        let mut rest = Reader(&bytes[at..]);
        let whole = rest.length().and_then(|n| Some((rest.take(8)?, rest.take(n)?)));
        let Some((sum, payload)) = whole else { break };
        if sum != checksum(payload) || payload.is_empty() {
            // Blocks that were never written read as zeros after a power cut.
            if rest.0.iter().all(|byte| *byte == 0) {
                break;
            }
            return Err(format!("damaged at byte {at}, with commits behind it; restore the file from a backup"));
        }
        revision = Some(replay(payload, &mut entries).ok_or_else(|| format!("unreadable commit at byte {at}"))?);
        at += HEADER + payload.len();
    }
    Ok((Recovered { revision, entries: entries.into_values().collect() }, at))
}

fn replay(payload: &[u8], entries: &mut BTreeMap<String, Entry>) -> Option<i64> {
    let mut rest = Reader(payload);
    let of_commit = rest.number()?;
    while !rest.0.is_empty() {
        let is_put = rest.take(1)? == [1];
        let key = rest.text()?;
        if is_put {
            let (created, revision) = (rest.number()?, rest.number()?);
            let n = rest.length()?;
            let value = rest.take(n)?.to_vec();
            entries.insert(key.clone(), Entry { key, value, revision, created });
        } else {
            entries.remove(&key);
        }
    }
    Some(of_commit)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?) as usize)
    }

    fn number(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let n = self.length()?;
        String::from_utf8(self.take(n)?.to_vec()).ok()
    }
}
