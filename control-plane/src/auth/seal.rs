//! Secrets at rest: AES-256-GCM with the operator's key. A sealed value names no key and carries no hint of its text; it
//! opens only at the path it was sealed for, so that moving it to another connector or key does not help.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use millrace_sdk::Flat;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::config::{ConfigError, ControlPlaneConfig};
use crate::model::ConnectorId;

const PREFIX: &str = "sealed:v1:";
const KEY_LEN: usize = 32;

/// Seals and opens.
pub struct Sealer {
    key: LessSafeKey,
    random: SystemRandom,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

/// What goes wrong with sealing.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No randomness, or the cipher failed
    #[error("cannot encrypt a secret")]
    Seal,
    /// Another key, another place, or damage
    #[error("cannot decrypt the secret {0}: it was sealed with another key or has been damaged; set the value again")]
    Open(String),
}

impl Sealer {
    /// With a key of 32 bytes.
    ///
    /// # Errors
    /// Another length.
    pub fn new(key: &[u8]) -> Result<Self, ConfigError> {
        let unbound = UnboundKey::new(&AES_256_GCM, key)
            .map_err(|_| ConfigError::BadSealingKey(format!("it has {} bytes, not {KEY_LEN}", key.len())))?;
        Ok(Self { key: LessSafeKey::new(unbound), random: SystemRandom::new() })
    }

    /// With the key of the settings: in place, or in a file.
    ///
    /// # Errors
    /// No key, an unreadable file, or not 32 bytes.
    pub fn from_config(config: &ControlPlaneConfig) -> Result<Self, ConfigError> {
        if let Some(text) = &config.sealing_key {
            let key = STANDARD
                .decode(text.reveal().trim())
                .map_err(|_| ConfigError::BadSealingKey("sealing_key is not base64".to_owned()))?;
            return Self::new(&key);
        }
        let path = config.sealing_key_file.as_deref().ok_or(ConfigError::NoSealingKey)?;
        Self::new(&read_key(path)?)
    }

    /// Seals a text for a path.
    ///
    /// # Errors
    /// No randomness.
    pub fn seal(&self, path: &str, text: &str) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::Seal)?;
        let mut body = text.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(path.as_bytes()), &mut body)
            .map_err(|_| SealError::Seal)?;
        let mut bytes = nonce.to_vec();
        bytes.append(&mut body);
        Ok(format!("{PREFIX}{}", STANDARD.encode(bytes)))
    }

    /// Opens what was sealed for a path; another text is handed back as it is.
    ///
    /// # Errors
    /// Another key or path, or damage.
    pub fn open(&self, path: &str, text: &str) -> Result<String, SealError> {
        let Some(encoded) = text.strip_prefix(PREFIX) else { return Ok(text.to_owned()) };
        let fail = || SealError::Open(path.to_owned());
        let bytes = STANDARD.decode(encoded).map_err(|_| fail())?;
        let (nonce, body) = bytes.split_at_checked(NONCE_LEN).ok_or_else(fail)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| fail())?;
        let mut body = body.to_vec();
        let text = self.key.open_in_place(nonce, Aad::from(path.as_bytes()), &mut body).map_err(|_| fail())?.to_vec();
        String::from_utf8(text).map_err(|_| fail())
    }

    /// A connector's configuration with the values that `secret` points out sealed.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn seal_config(
        &self,
        id: &ConnectorId,
        config: &Flat,
        secret: impl Fn(&str, &str) -> bool,
    ) -> Result<Flat, SealError> {
        let sealed = |key: &String, value: &String| {
            // A text that looks sealed is sealed too: nobody can smuggle somebody else's sealed value in.
            if secret(key, value) || value.starts_with(PREFIX) {
                self.seal(&path(id, key), value)
            } else {
                Ok(value.clone())
            }
        };
        config.iter().map(|(key, value)| Ok((key.clone(), sealed(key, value)?))).collect()
    }

    /// The configuration in clear.
    ///
    /// # Errors
    /// As [`Sealer::open`].
    pub fn open_config(&self, id: &ConnectorId, config: &Flat) -> Result<Flat, SealError> {
        config.iter().map(|(key, value)| Ok((key.clone(), self.open(&path(id, key), value)?))).collect()
    }

    /// A tenant's settings in clear.
    ///
    /// # Errors
    /// As [`Sealer::open`].
    pub fn open_settings(&self, tenant: &str, settings: &Flat) -> Result<Flat, SealError> {
        let open = |key: &String, value: &String| self.open(&format!("tenants/{tenant}#{key}"), value);
        settings.iter().map(|(key, value)| Ok((key.clone(), open(key, value)?))).collect()
    }
}

fn path(id: &ConnectorId, key: &str) -> String {
    format!("{id}#{key}")
}

fn read_key(path: &Path) -> Result<Vec<u8>, ConfigError> {
    let bytes = std::fs::read(path)
        .map_err(|error| ConfigError::BadSealingKey(format!("cannot read {}: {error}", path.display())))?;
    if bytes.len() == KEY_LEN {
        return Ok(bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    STANDARD.decode(text.trim()).map_err(|_| {
        ConfigError::BadSealingKey(format!("{} holds neither {KEY_LEN} raw bytes nor their base64", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ConnectorId {
        ConnectorId { tenant: "default".into(), connector: name.into() }
    }

    #[test]
    fn what_is_sealed_opens_only_at_its_place() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let sealed = sealer.seal("a#b", "hunter2").unwrap();
        assert!(sealed.starts_with("sealed:v1:") && !sealed.contains("hunter2"));
        assert_ne!(sealed, sealer.seal("a#b", "hunter2").unwrap());
        assert_eq!(sealer.open("a#b", &sealed).unwrap(), "hunter2");
        assert!(sealer.open("a#c", &sealed).is_err());
        assert!(Sealer::new(&[8; 32]).unwrap().open("a#b", &sealed).is_err());
        assert!(sealer.open("a#b", "sealed:v1:AAAA").is_err());
        assert_eq!(sealer.open("a#b", "plain").unwrap(), "plain");
        assert!(Sealer::new(&[1; 31]).is_err());
    }

    #[test]
    fn a_configuration_goes_there_and_back() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let foreign = sealer.seal("tenants/default/connectors/x#p", "theirs").unwrap();
        let config = Flat::from([
            ("connection.password".to_owned(), "hunter2".to_owned()),
            ("topics".to_owned(), "a".to_owned()),
            ("smuggled".to_owned(), foreign),
        ]);
        let sealed = sealer.seal_config(&id("x"), &config, |key, _| key.contains("password")).unwrap();
        assert_eq!(sealed["topics"], "a");
        assert!(sealed["connection.password"].starts_with(PREFIX));
        assert_eq!(sealer.open_config(&id("x"), &sealed).unwrap(), config);
        assert!(sealer.open_config(&id("y"), &sealed).is_err());
    }

    #[test]
    fn keys_come_from_files_raw_or_in_base64() {
        let file = std::env::temp_dir().join(format!("millrace-seal-{}", uuid::Uuid::new_v4()));
        for content in [vec![9_u8; 32], STANDARD.encode([9_u8; 32]).into_bytes()] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(read_key(&file).unwrap(), vec![9; 32]);
        }
        std::fs::write(&file, "short").unwrap();
        let refused = read_key(&file).and_then(|key| Sealer::new(&key).map(|_| ()));
        std::fs::remove_file(&file).unwrap();
        assert!(refused.is_err());
    }
}
