//! Reads `sasl.jaas.config`: the login module's name and its options. Only modules that carry user and password are known.

/// User and password of a JAAS line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Login {
    /// `sasl.username`
    pub(super) username: String,
    /// `sasl.password`
    pub(super) password: String,
}

/// Reads such as `org.apache.kafka.common.security.plain.PlainLoginModule required username="a" password="b";`. The
/// message of an error never holds a part of the text but the module's name.
pub(super) fn parse(text: &str) -> Result<Login, String> {
    let text = text.trim().trim_end_matches(';').trim();
    let (module, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let simple = module.rsplit('.').next().unwrap_or(module);
    if !matches!(simple, "PlainLoginModule" | "ScramLoginModule") {
        return Err(format!("the login module {simple} is not available; use PlainLoginModule or ScramLoginModule"));
    }
    let (mut username, mut password) = (None, None);
    for (name, value) in options(rest)? {
        match name.as_str() {
            "username" => username = Some(value),
            "password" => password = Some(value),
            _ => {}
        }
    }
    match (username, password) {
        (Some(username), Some(password)) => Ok(Login { username, password }),
        _ => Err(format!("{simple} needs username=\"…\" and password=\"…\"")),
    }
}

/// `name="value"` pairs; the control flag (`required`) has no value and is skipped.
fn options(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut options = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != '=') {
            name.push(c);
        }
        if chars.next_if_eq(&'=').is_some() {
            options.push((name, value(&mut chars)?));
        } else if name.is_empty() && chars.peek().is_none() {
            return Ok(options);
        }
    }
}

fn value(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    let mut value = String::new();
    let Some(quote) = chars.next_if(|c| matches!(c, '"' | '\'')) else {
        while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
            value.push(c);
        }
        return Ok(value);
    };
    loop {
        match chars.next() {
            None => return Err("a quotation mark is missing".to_owned()),
            Some('\\') => value.extend(chars.next()),
            Some(c) if c == quote => return Ok(value),
            Some(c) => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_found() {
        for (text, username, password) in [
            (
                r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="a" password="b";"#,
                "a",
                "b",
            ),
            (r#"ScramLoginModule required username='u x' password="p\"q;=" ;"#, "u x", "p\"q;="),
            ("x.ScramLoginModule   required\n password=plain username=me;", "me", "plain"),
        ] {
            assert_eq!(
                parse(text),
                Ok(Login { username: username.to_owned(), password: password.to_owned() }),
                "{text}"
            );
        }
    }

    #[test]
    fn errors_say_what_is_missing_and_hide_the_rest() {
        for (text, part) in [
            (
                r#"com.sun.security.auth.module.Krb5LoginModule required keyTab="/x";"#,
                "Krb5LoginModule is not available",
            ),
            (r#"PlainLoginModule required username="a";"#, "needs username"),
            (r#"PlainLoginModule required username="a" password="hunter2"#, "quotation mark"),
            ("", "is not available"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
            assert!(!message.contains("hunter2"));
        }
    }
}
