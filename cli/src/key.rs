//! Keys and tokens: made here, kept in files that only their owner may read.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use millrace_sdk::Secret;
use ring::rand::{SecureRandom, SystemRandom};

use crate::failure::Failure;

/// 32 random bytes in base64.
pub(crate) fn generate() -> Result<Secret, Failure> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Failure::new("the operating system gives no random numbers"))?;
    Ok(Secret::new(STANDARD.encode(bytes)))
}

/// Writes a new file with mode 0600; one that exists is never overwritten, since what was sealed with it would be lost.
pub(crate) fn write_new(path: &Path, secret: &Secret) -> Result<(), Failure> {
    let wrong = |error: std::io::Error| {
        let failure = Failure::new(format!("cannot write {}: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => failure.hint("a key in use must not be replaced; choose another name"),
            _ => failure,
        }
    };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(wrong)?;
    file.write_all(secret.reveal().as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(wrong)?;
    file.sync_all().map_err(wrong)
}

/// The text of a secret file, without the line's end. Readable by others than its owner is a warning.
pub(crate) fn read(path: &Path, what: &str) -> Result<Secret, Failure> {
    let wrong = |error: std::io::Error| {
        Failure::new(format!("cannot read the {what} {}: {error}", path.display()))
            .hint(format!("make one with: millrace key generate --out {}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(wrong)?;
    let mode = std::fs::metadata(path).map_err(wrong)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(file = %path.display(), "the {what} can be read by others: chmod 600 it");
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::new(format!("the {what} {} is empty", path.display())));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("secrets.key");
        let secret = generate().expect("random numbers");
        write_new(&path, &secret).expect("written");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path, "key file").expect("readable").reveal(), secret.reveal());
        assert_eq!(STANDARD.decode(secret.reveal()).expect("base64").len(), 32);
        let failure = write_new(&path, &generate().expect("random numbers")).expect_err("exists").to_string();
        assert!(failure.contains("must not be replaced") && !failure.contains(secret.reveal()), "{failure}");
    }

    #[test]
    fn a_missing_file_says_how_to_make_one() {
        let failure = read(Path::new("/nonexistent/k"), "key file").expect_err("missing").to_string();
        assert!(failure.contains("millrace key generate --out /nonexistent/k"), "{failure}");
    }
}
