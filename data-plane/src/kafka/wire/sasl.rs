//! How a client shows who it is: PLAIN (RFC 4616) and SCRAM (RFC 5802, as KIP-84 has it), inside SaslHandshake and
//! SaslAuthenticate.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::hash::{MessageDigest, hash};
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::sign::Signer;

use super::code;
use super::codec::{Malformed, Reader, Writer};
use super::security::{Login, Mechanism};

/// Rounds that a broker may ask for: Kafka's own have 4096 to 16384, and each takes a microsecond.
const ROUNDS: std::ops::RangeInclusive<usize> = 1..=200_000;

/// What a SaslHandshake asks for.
pub(super) fn handshake(login: &Login) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.string(login.mechanism.name());
    writer.0
}

/// Whether the broker has the mechanism; else those that it has.
pub(super) fn handshaken(answer: &[u8]) -> Result<Result<(), String>, Malformed> {
    let mut reader = Reader::new(answer);
    let error = reader.i16()?;
    let mut names = Vec::new();
    for _ in 0..reader.count(2)? {
        names.extend(reader.string()?);
    }
    Ok(if error == code::NONE { Ok(()) } else { Err(names.join(", ")) })
}

/// The request around a message.
pub(super) fn authenticate(message: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.count(message.len());
    writer.0.extend(message);
    writer.0
}

/// What a broker says of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authenticated {
    /// The broker's message, or why it does not want the client
    pub(super) outcome: Result<Vec<u8>, String>,
    /// For how long the connection is good; 0 for ever
    pub(super) lifetime_ms: i64,
}

impl Authenticated {
    pub(super) fn read(answer: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(answer);
        let error = reader.i16()?;
        let text = reader.string()?.unwrap_or("the broker does not say why").to_owned();
        let length = reader.count(1)?;
        let message = reader.take(length)?.to_vec();
        let outcome = if error == code::NONE { Ok(message) } else { Err(text) };
        Ok(Self { outcome, lifetime_ms: reader.i64()? })
    }
}

/// A login under way.
pub(super) enum Steps {
    /// The broker's next answer is its last
    Last,
    /// The first message was sent: this one, with this nonce
    First { bare: String, nonce: String },
    /// The last message was sent: the broker must sign like this
    Signed(String),
}

/// The first message.
pub(super) fn begin(login: &Login, nonce: &str) -> (Vec<u8>, Steps) {
    if login.mechanism == Mechanism::Plain {
        return (format!("\0{}\0{}", login.user, login.password).into_bytes(), Steps::Last);
    }
    let user = login.user.replace('=', "=3D").replace(',', "=2C");
    let bare = format!("n={user},r={nonce}");
    (format!("n,,{bare}").into_bytes(), Steps::First { bare, nonce: nonce.to_owned() })
}

/// The next message; None at the end.
///
/// # Errors
/// What is wrong with the broker's answer.
pub(super) fn next(login: &Login, steps: Steps, answer: &[u8]) -> Result<Option<(Vec<u8>, Steps)>, String> {
    let text = || std::str::from_utf8(answer).map_err(|_| "its answer is not UTF-8".to_owned());
    match steps {
        Steps::Last => Ok(None),
        Steps::First { bare, nonce } => {
            let (proof, signature) = prove(login, &bare, &nonce, text()?)?;
            Ok(Some((proof.into_bytes(), Steps::Signed(signature))))
        }
        Steps::Signed(expected) => match text()?.split(',').find_map(|field| field.strip_prefix("v=")) {
            Some(signature) if signature == expected => Ok(None),
            _ => Err("it does not know the password itself".to_owned()),
        },
    }
}

/// The client's last message, and what the broker must answer.
fn prove(login: &Login, bare: &str, nonce: &str, challenge: &str) -> Result<(String, String), String> {
    let field = |name: &str| challenge.split(',').find_map(|field| field.strip_prefix(name));
    let malformed = || "its challenge is malformed".to_owned();
    let theirs = field("r=").filter(|theirs| theirs.starts_with(nonce) && theirs.len() > nonce.len());
    let theirs = theirs.ok_or("its challenge is not for this client")?;
    let salt = field("s=").and_then(|salt| BASE64.decode(salt).ok()).ok_or_else(malformed)?;
    let rounds: usize = field("i=").and_then(|rounds| rounds.parse().ok()).ok_or_else(malformed)?;
    if !ROUNDS.contains(&rounds) {
        return Err(format!("it asks for {rounds} rounds of hashing"));
    }
    let digest = match login.mechanism {
        Mechanism::ScramSha256 => MessageDigest::sha256(),
        Mechanism::Plain | Mechanism::ScramSha512 => MessageDigest::sha512(),
    };
    let scram = || -> Result<(String, String), openssl::error::ErrorStack> {
        let hmac = |key: &[u8], data: &[u8]| Signer::new(digest, &*PKey::hmac(key)?)?.sign_oneshot_to_vec(data);
        let mut salted = vec![0; digest.size()];
        pbkdf2_hmac(login.password.as_bytes(), &salt, rounds, digest, &mut salted)?;
        let client_key = hmac(&salted, b"Client Key")?;
        let last = format!("c=biws,r={theirs}");
        let message = format!("{bare},{challenge},{last}");
        let signature = hmac(&hash(digest, &client_key)?, message.as_bytes())?;
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, sign)| key ^ sign).collect();
        let server = hmac(&hmac(&salted, b"Server Key")?, message.as_bytes())?;
        Ok((format!("{last},p={}", BASE64.encode(proof)), BASE64.encode(server)))
    };
    scram().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(mechanism: Mechanism) -> Login {
        Login { mechanism, user: "user".to_owned(), password: "pencil".to_owned() }
    }

    #[test]
    fn plain_is_user_and_password() {
        let (message, steps) = begin(&login(Mechanism::Plain), "x");
        assert_eq!(message, b"\0user\0pencil");
        assert!(next(&login(Mechanism::Plain), steps, b"").unwrap().is_none());
    }

    /// The conversation of RFC 7677.
    #[test]
    fn scram_is_as_in_its_document() {
        let login = login(Mechanism::ScramSha256);
        let (message, steps) = begin(&login, "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(message, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (message, steps) = next(&login, steps, challenge).unwrap().unwrap();
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(String::from_utf8(message).unwrap(), expected);
        assert!(next(&login, steps, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").unwrap().is_none());
    }

    #[test]
    fn a_broker_that_does_not_know_the_password_is_not_believed() {
        let login = login(Mechanism::ScramSha512);
        let start = || begin(&login, "abc").1;
        for challenge in ["r=abc,s=AAAA,i=4096", "r=xyz1,s=AAAA,i=4096", "r=abcd,s=?,i=4096", "r=abcd,s=AAAA", ""] {
            assert!(next(&login, start(), challenge.as_bytes()).is_err(), "{challenge}");
        }
        assert!(next(&login, start(), b"r=abcd,s=AAAA,i=999999999").is_err());
        let (_, steps) = next(&login, start(), b"r=abcd,s=AAAA,i=4096").unwrap().unwrap();
        assert!(next(&login, steps, b"v=AAAA").is_err());
        assert!(next(&login, Steps::Signed(String::new()), b"e=other-error").is_err());
    }

    #[test]
    fn names_are_escaped() {
        let login = Login { user: "a=b,c".to_owned(), ..login(Mechanism::ScramSha256) };
        assert_eq!(begin(&login, "r").0, b"n,,n=a=3Db=2Cc,r=r");
    }
}
