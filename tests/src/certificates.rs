//! Authorities and certificates for a scenario, made by openssl.

use std::path::Path;
use std::process::Command;

fn openssl(directory: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split('|')).current_dir(directory).output().expect("openssl");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes an authority, `<name>.pem`, and its key, `<name>.key`.
///
/// # Panics
/// When openssl cannot.
pub fn authority(directory: &Path, name: &str) {
    openssl(
        directory,
        &format!("req|-x509|-newkey|rsa:2048|-nodes|-days|2|-subj|/CN={name}|-keyout|{name}.key|-out|{name}.pem"),
    );
}

/// Makes a certificate for 127.0.0.1 by an authority: `<name>.crt`, its key `<name>.key`, and both in `<name>.pem`.
///
/// # Panics
/// When openssl cannot.
pub fn certificate(directory: &Path, authority: &str, name: &str, subject: &str) {
    std::fs::write(directory.join("san"), "subjectAltName=IP:127.0.0.1\n").expect("a file");
    openssl(directory, &format!("req|-newkey|rsa:2048|-nodes|-subj|{subject}|-keyout|{name}.key|-out|{name}.csr"));
    let (pem, key) = (format!("{authority}.pem"), format!("{authority}.key"));
    openssl(
        directory,
        &format!(
            "x509|-req|-in|{name}.csr|-CA|{pem}|-CAkey|{key}|-CAcreateserial|-days|2|-extfile|san|-out|{name}.crt"
        ),
    );
    let part = |ending: &str| std::fs::read_to_string(directory.join(format!("{name}.{ending}"))).expect("a file");
    std::fs::write(directory.join(format!("{name}.pem")), part("crt") + &part("key")).expect("a file");
}
