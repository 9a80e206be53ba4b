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
}

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
        Ok(Self { path, file: Arc::new(Mutex::new(file)) })
    }

    /// Appends text in one write, so that what several batches append at once does not mix within a line.
    pub(crate) async fn append(&self, text: Vec<u8>) -> Result<()> {
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&text).and_then(|()| file.flush())
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
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
