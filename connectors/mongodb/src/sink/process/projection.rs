//! Keeping or removing fields by lists of paths with wildcards: `*` stands for one level, `**` for everything below, and
//! `name*` at the top level for all names that begin so.

use mongodb::bson::{Bson, Document};

use crate::bson::Names;

/// Which fields stay.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Projection {
    /// These, and the way to them
    Allow(Names),
    /// All but these
    Block(Vec<String>),
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|field| !field.is_empty()).map(str::to_owned).collect()
}

impl Projection {
    /// A projection by the name of its type.
    pub(crate) fn parse(kind: &str, fields: &str) -> Option<Self> {
        match kind.trim().to_ascii_lowercase().as_str() {
            "allowlist" | "whitelist" => Some(Self::allow(fields)),
            "blocklist" | "blacklist" => Some(Self::block(fields)),
            _ => None,
        }
    }

    /// Only these fields stay. The fields on the way to a nested one are allowed with it.
    pub(crate) fn allow(fields: &str) -> Self {
        let mut all = list(fields);
        for field in list(fields) {
            let mut rest = field.as_str();
            while let Some((parent, _)) = rest.rsplit_once('.') {
                if !parent.is_empty() && !all.iter().any(|known| known == parent) {
                    all.push(parent.to_owned());
                }
                rest = parent;
            }
        }
        Self::Allow(Names::new(all))
    }

    /// These fields go.
    pub(crate) fn block(fields: &str) -> Self {
        Self::Block(list(fields))
    }

    /// The names of the fields that stay, where these are fields of the top level and nothing more.
    pub(crate) fn names(&self) -> Option<&Names> {
        match self {
            Self::Allow(fields) if !fields.list().iter().any(|field| field.contains(['.', '*'])) => Some(fields),
            _ => None,
        }
    }

    /// Does it to a document.
    pub(crate) fn apply(&self, document: &mut Document) {
        match self {
            Self::Allow(fields) if fields.list().iter().any(|field| field == "**") => {}
            Self::Allow(fields) => allow(fields.list(), "", document),
            Self::Block(fields) => fields.iter().for_each(|field| block(field, document)),
        }
    }
}

fn allow(fields: &[String], path: &str, document: &mut Document) {
    let all = std::mem::take(document);
    for (name, mut value) in all {
        let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if !is_allowed(fields, &here) {
            continue;
        }
        match &mut value {
            Bson::Document(inner) => {
                let everything = format!("{here}.**");
                if !fields.contains(&everything) {
                    allow(fields, &here, inner);
                }
            }
            // As in the peer, `name.**` reaches into documents, not into arrays.
            Bson::Array(items) => {
                for inner in items.iter_mut().filter_map(Bson::as_document_mut) {
                    allow(fields, &here, inner);
                }
            }
            _ => {}
        }
        document.insert(name, value);
    }
}

fn is_allowed(fields: &[String], path: &str) -> bool {
    fields.iter().any(|field| {
        if field == path {
            return true;
        }
        if !field.contains('.') && field != "*" && field.strip_suffix('*').is_some_and(|start| path.starts_with(start))
        {
            return true;
        }
        let (mut pattern, mut parts) = (field.split('.'), path.split('.'));
        loop {
            match (pattern.next(), parts.next()) {
                (None, None) => return true,
                (Some(one), Some(part)) if one == "*" || one == part => {}
                _ => return false,
            }
        }
    })
}

fn block(field: &str, document: &mut Document) {
    let (first, rest) = field.split_once('.').unwrap_or((field, ""));
    match first {
        "**" => document.clear(),
        "*" => {
            let all = std::mem::take(document);
            for (name, mut value) in all {
                if let Bson::Document(inner) = &mut value {
                    if !rest.is_empty() {
                        block(rest, inner);
                    }
                    document.insert(name, value);
                }
            }
        }
        _ if rest.is_empty() && !field.contains('.') => match first.strip_suffix('*') {
            Some(start) => {
                let all = std::mem::take(document);
                document.extend(all.into_iter().filter(|(name, _)| !name.starts_with(start)));
            }
            None => {
                document.remove(first);
            }
        },
        _ => match document.get_mut(first) {
            Some(Bson::Document(inner)) => block(rest, inner),
            Some(Bson::Array(items)) => {
                items.iter_mut().filter_map(Bson::as_document_mut).for_each(|inner| block(rest, inner));
            }
            _ => {}
        },
    }
}
