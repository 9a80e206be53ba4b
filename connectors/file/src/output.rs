//! The file that a sink appends to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use millrace_sdk::{Error, Findings, Problem, Result};

/// An open file.
#[derive(Debug)]
pub(crate) struct Output {
    path: String,
    file: Arc<Mutex<File>>,
    /// The room of the last text, for the next one
    spare: Mutex<Vec<u8>>,
}

/// Room beyond that is given back.
const MOST_SPARE: usize = 1024 * 1024;

impl Output {
    /// What can be said of a path without opening it.
    pub(crate) fn check(file: &str) -> Findings {
        let mut findings = Findings::default();
        let path = Path::new(file);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if path.is_dir() {
            findings.errors.push(Problem::new("file", format!("{file} is a directory, not a file")));
        } else if folder.is_some_and(|folder| !folder.is_dir()) {
            findings.errors.push(Problem::new("file", format!("the folder of {file} does not exist")));
        }
        findings
    }

    /// Opens it, or makes it.
    pub(crate) fn open(path: String) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| unwritable(&path, error))?;
        Ok(Self { path, file: Arc::new(Mutex::new(file)), spare: Mutex::default() })
    }

    /// An empty text with as much room as the last one took.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        std::mem::take(&mut *self.spare.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Appends text in one write, so that what several batches append at once does not mix within a line.
    pub(crate) async fn append(&self, mut text: Vec<u8>) -> Result<()> {
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&text).and_then(|()| file.flush()).map(|()| {
                text.clear();
                text
            })
        });
        match written.await {
            Ok(Ok(spare)) => {
                if spare.capacity() <= MOST_SPARE {
                    *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = spare;
                }
                Ok(())
            }
            Ok(Err(error)) => Err(unwritable(&self.path, error)),
            Err(error) => Err(Error::internal("writing the file was cut short").because(error)),
        }
    }
}

fn unwritable(path: &str, error: io::Error) -> Error {
    let message = format!("cannot write {path}");
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory => {
            Error::bad_config(message)
        }
        _ => Error::transient(message),
    }
    .because(error)
}
