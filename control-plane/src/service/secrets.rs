//! Which values are secret, how they are shown, and what a `***` that comes back means. Pure.

use millrace_sdk::config::{KeyType, MASK, mask_uri};
use millrace_sdk::{ConfigDef, Flat, Problem};

/// Parts of key names that give a secret away where no definition says so (unknown class, `consumer.override.…`).
const TELLTALE: [&str; 18] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "jaas",
    "api.key",
    "apikey",
    "api-key",
    "access.key",
    "account.key",
    "private.key",
    "privatekey",
    "keystore.key",
    "authorization",
    "sas.key",
    "service.account",
];
/// Keys that hold such a part and are no secrets.
const HARMLESS: [&str; 5] = ["token.endpoint", ".location", "token.lifetime", "secret.name", "expected.audience"];

/// Whether a key's whole value is a secret.
#[must_use]
pub fn is_secret_key(def: Option<&ConfigDef>, key: &str) -> bool {
    if let Some(known) = def.and_then(|def| def.key(key)) {
        return known.kind == KeyType::Password;
    }
    let key = key.to_ascii_lowercase();
    TELLTALE.iter().any(|part| key.contains(part)) && !HARMLESS.iter().any(|part| key.contains(part))
}

/// Whether a value needs sealing: a secret in plain text, or a URI with a password in it.
#[must_use]
pub fn needs_sealing(def: Option<&ConfigDef>, key: &str, value: &str) -> bool {
    if is_secret_key(def, key) { !is_reference(value) && !value.is_empty() } else { mask_uri(value) != value }
}

/// A value as it may be shown.
#[must_use]
pub fn shown(def: Option<&ConfigDef>, key: &str, value: &str) -> String {
    if !is_secret_key(def, key) {
        return mask_uri(value).into_owned();
    }
    if is_reference(value) || value.is_empty() {
        return value.to_owned();
    }
    // A secret that is a URI shows where it leads.
    let masked = mask_uri(value);
    if masked != value || is_bare_uri(value) { masked.into_owned() } else { MASK.to_owned() }
}

/// A connection string without credentials holds no secret, whatever the key's type: hiding it would help nobody.
fn is_bare_uri(value: &str) -> bool {
    value.split_once("://").is_some_and(|(scheme, rest)| {
        !rest.is_empty() && !rest.contains('@') && scheme.bytes().all(|b| b.is_ascii_lowercase() || b == b'+')
    })
}

/// A configuration as it may be shown.
#[must_use]
pub fn masked(def: Option<&ConfigDef>, config: &Flat) -> Flat {
    config.iter().map(|(key, value)| (key.clone(), shown(def, key, value))).collect()
}

/// Whether a value is nothing but references such as `${file:/run/secrets/db:password}`; `${topic}` is none.
#[must_use]
pub fn is_reference(value: &str) -> bool {
    let mut rest = value;
    let mut found = false;
    while let Some(body) = rest.strip_prefix("${") {
        let Some((inside, after)) = body.split_once('}') else { return false };
        if !inside.contains(':') || inside.starts_with(':') {
            return false;
        }
        found = true;
        rest = after;
    }
    found && rest.is_empty()
}

/// Whether a value holds a reference somewhere: its type and content cannot be judged here.
#[must_use]
pub fn has_reference(value: &str) -> bool {
    value.split("${").skip(1).any(|part| part.split_once('}').is_some_and(|(inside, _)| inside.contains(':')))
}

/// The configuration that the user means by `new`, where `***` stands for what is in `old`.
///
/// # Errors
/// A `***` that stands for nothing, per key.
pub fn unmask(def: Option<&ConfigDef>, new: &Flat, old: Option<&Flat>) -> Result<Flat, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut config = Flat::new();
    for (key, value) in new {
        let before = old.and_then(|old| old.get(key));
        match unmask_value(is_secret_key(def, key), value, before.map(String::as_str)) {
            Some(value) => drop(config.insert(key.clone(), value)),
            None => problems.push(Problem::new(
                key,
                format!("{key} holds \"{MASK}\", which stands for a secret that is already stored, but none is: give the secret itself"),
            )),
        }
    }
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn unmask_value(secret: bool, value: &str, before: Option<&str>) -> Option<String> {
    if value == MASK && secret {
        return before.map(str::to_owned);
    }
    if !value.contains("://") || !value.contains(MASK) {
        return Some(value.to_owned());
    }
    // As it was shown, it means what it was: this also covers passwords that were masked by another rule.
    if let Some(before) = before.filter(|before| mask_uri(before) == value) {
        return Some(before.to_owned());
    }
    let known = before.map(credentials).unwrap_or_default();
    let mut out = String::new();
    let mut rest = value;
    for (position, (start, end, user, password)) in credentials(value).into_iter().enumerate() {
        let offset = value.len() - rest.len();
        out.push_str(&value[offset..start]);
        if password == MASK {
            let same_place = known.get(position).filter(|(_, _, name, _)| *name == user);
            let (_, _, _, password) = same_place.or_else(|| known.iter().find(|(_, _, name, _)| *name == user))?;
            out.push_str(password);
        } else {
            out.push_str(password);
        }
        rest = &value[end..];
    }
    out.push_str(rest);
    // A mask elsewhere, such as in a query parameter, can only come back together with all else as it was shown.
    let left_over = [format!("={MASK}"), format!(":{MASK}")].iter().any(|mask| out.contains(mask));
    if left_over { None } else { Some(out) }
}

/// Of each `scheme://user:password@` in a text: where the password starts and ends, the user, the password.
fn credentials(text: &str) -> Vec<(usize, usize, &str, &str)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("://") {
        let start = from + at + 3;
        from = start;
        let authority = &text[start..];
        let end = authority.find(|c: char| "/?#".contains(c) || c.is_whitespace()).unwrap_or(authority.len());
        let Some(credentials_end) = authority[..end].rfind('@') else { continue };
        let Some(colon) = authority[..credentials_end].find(':') else { continue };
        let (first, last) = (start + colon + 1, start + credentials_end);
        found.push((first, last, &text[start..start + colon], &text[first..last]));
        from = last;
    }
    found
}

#[cfg(test)]
mod tests;
