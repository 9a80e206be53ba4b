//! `millrace`: expressions and scripts over a record, in place of a transform of one's own.

mod document;
mod language;
mod results;
mod schemas;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_sdk::{Config, Error, Problem, Record, Result, Schema, Text, Value};
use rhai::{AST, Dynamic, Map, Scope};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::invalid;
use super::data::Side;
use super::extract_field::steps;
use super::{Kind, PerRecord, Site, Verdict};
use document::Document;
use language::{Language, Stop};
use results::Results;

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// A condition; records for which it is false are dropped.
    #[serde(default)]
    filter: Option<String>,
    /// Statements that change `value`, `key`, `headers`, `topic` and `timestamp`; `drop()` drops the record, `throw "why"`
    /// refuses it.
    #[serde(default)]
    script: Option<String>,
    /// An expression whose result becomes the topic; `()` keeps it.
    #[serde(default)]
    topic: Option<String>,
    /// An expression whose result becomes the key.
    #[serde(default)]
    key: Option<String>,
    /// An expression whose result becomes the value.
    #[serde(default)]
    value: Option<String>,
    /// Fields of the value that are taken out at the end, as paths such as `address.street`.
    #[serde(default)]
    drop: Vec<String>,
    /// How many operations the expressions may take for one record, each by itself.
    #[serde(rename = "max.operations", default = "operations")]
    max_operations: u32,
    /// How many bytes of text a variable may hold.
    #[serde(rename = "max.bytes", default = "bytes")]
    max_bytes: u32,
    /// `set.<path>` and `header.<name>`
    #[serde(flatten)]
    #[schemars(skip)]
    others: BTreeMap<String, String>,
}

impl Config for Options {
    const PATTERNS: &'static [(&'static str, &'static str, &'static str)] = &[
        (
            "set.",
            "",
            "An expression whose result becomes the field of the value at this path, such as set.address.city.",
        ),
        ("header.", "", "An expression whose result becomes the header of this name; () takes the header off."),
    ];
}

fn operations() -> u32 {
    100_000
}

fn bytes() -> u32 {
    1 << 20
}

/// An expression and the option that holds it.
struct Expression {
    option: String,
    ast: AST,
    /// What it names of the record
    uses: Uses,
}

/// Which variables are worth making.
#[derive(Debug, Clone, Copy, Default)]
struct Uses {
    key: bool,
    value: bool,
    headers: bool,
}

pub(super) struct Millrace {
    /// `transforms.<alias>.`, for errors
    prefix: String,
    language: Language,
    filter: Option<Expression>,
    script: Option<Expression>,
    topic: Option<Expression>,
    key: Option<Expression>,
    value: Option<Expression>,
    set: Vec<(Vec<String>, Expression)>,
    headers: Vec<(Text, Expression)>,
    drop: Vec<Vec<String>>,
    /// The last schemas of key and value, by which records of a like one are known
    last: [Option<Arc<Schema>>; 2],
}

/// Variables of every expression, for the compiler to know.
fn known() -> Scope<'static> {
    let mut scope = Scope::new();
    for name in ["key", "value", "headers", "topic", "partition", "offset", "timestamp"] {
        scope.push_dynamic(name, Dynamic::UNIT);
    }
    scope
}

impl Kind for Millrace {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["millrace"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        let max_bytes = usize::try_from(options.max_bytes.max(1)).unwrap_or(usize::MAX);
        let language = Language::new(u64::from(options.max_operations.max(1)), max_bytes);
        let compiled = |option: &str, text: &str, script: bool| {
            let ast = if script { language.script(text, &known()) } else { language.expression(text, &known()) };
            let uses =
                Uses { key: text.contains("key"), value: text.contains("value"), headers: text.contains("headers") };
            match ast {
                Ok(ast) => Ok(Expression { option: option.to_owned(), ast, uses }),
                Err(error) => Err(invalid(option, text, &error)),
            }
        };
        let optional = |option: &str, text: &Option<String>, script: bool| {
            text.as_ref().map(|text| compiled(option, text, script)).transpose()
        };
        let (mut set, mut headers) = (Vec::new(), Vec::new());
        for (option, text) in &options.others {
            if let Some(path) = option.strip_prefix("set.") {
                set.push((path_of(option, path)?, compiled(option, text, false)?));
            } else if let Some(name) = option.strip_prefix("header.") {
                headers.push((Text::from(name), compiled(option, text, false)?));
            }
        }
        let drop = options.drop.iter().map(|path| path_of("drop", path)).collect::<Result<_, _>>()?;
        let made = Self {
            filter: optional("filter", &options.filter, false)?,
            script: optional("script", &options.script, true)?,
            topic: optional("topic", &options.topic, false)?,
            key: optional("key", &options.key, false)?,
            value: optional("value", &options.value, false)?,
            prefix: String::new(),
            language,
            set,
            headers,
            drop,
            last: [None, None],
        };
        if made.all().next().is_none() && made.drop.is_empty() {
            let why = "Nothing to do: set one of filter, script, topic, key, value, drop, set.<path>, header.<name>";
            return Err(Problem::new("", why));
        }
        Ok(made)
    }

    fn named(&mut self, prefix: &str) {
        prefix.clone_into(&mut self.prefix);
    }
}

fn path_of(option: &str, path: &str) -> Result<Vec<String>, Problem> {
    steps(path)
        .filter(|steps| steps.iter().all(|step| !step.is_empty()))
        .ok_or_else(|| invalid(option, path, "not a path such as address.city or `a.b`.c"))
}

/// The variables of one record.
struct Variables<'a> {
    scope: Scope<'static>,
    site: &'a Site<'a>,
    uses: Uses,
}

fn variable(record: &Record, side: Side, wanted: bool) -> Result<Dynamic> {
    let datum = side.datum(record);
    if !wanted || datum.is_null() {
        return Ok(Dynamic::UNIT);
    }
    match datum.value().open()? {
        Value::Map(fields) => Ok(Dynamic::from(Document::new(fields, side))),
        other => values::to_dynamic(&other),
    }
}

impl<'a> Variables<'a> {
    fn new(record: &Record, site: &'a Site<'a>, uses: Uses) -> Result<Self> {
        let mut scope = Scope::new();
        scope.push_dynamic("key", variable(record, Side::Key, uses.key)?);
        scope.push_dynamic("value", variable(record, Side::Value, uses.value)?);
        scope.push_dynamic("headers", if uses.headers { headers(record)? } else { Dynamic::UNIT });
        scope.push_dynamic("topic", Dynamic::from(site.topic(record).to_string()));
        let number = |number: Option<i64>| number.map_or(Dynamic::UNIT, Dynamic::from);
        scope.push_dynamic("partition", number(site.partition(record).map(i64::from)));
        scope.push_dynamic("offset", number(site.offset(record, "an expression").ok()));
        scope.push_dynamic("timestamp", number(record.timestamp_ms));
        Ok(Self { scope, site, uses })
    }

    fn take(&mut self, name: &str) -> Dynamic {
        self.scope.get_mut(name).map_or(Dynamic::UNIT, std::mem::take)
    }
}

/// The headers as a map; the last of several of one name.
fn headers(record: &Record) -> Result<Dynamic> {
    let all = record
        .headers
        .iter()
        .map(|header| Ok((header.key.to_string().into(), values::to_dynamic(&header.value.value())?)));
    Ok(Dynamic::from_map(all.collect::<Result<Map>>()?))
}

impl Millrace {
    fn all(&self) -> impl Iterator<Item = &Expression> {
        let single = [&self.filter, &self.script, &self.topic, &self.key, &self.value];
        let many = self.set.iter().map(|(_, one)| one).chain(self.headers.iter().map(|(_, one)| one));
        single.into_iter().flatten().chain(many)
    }

    fn uses(&self) -> Uses {
        let paths = !self.set.is_empty() || !self.drop.is_empty();
        self.all().fold(Uses { value: paths, ..Uses::default() }, |uses, one| Uses {
            key: uses.key || one.uses.key,
            value: uses.value || one.uses.value,
            headers: uses.headers || one.uses.headers,
        })
    }

    /// What is wrong, where, and with which record.
    fn error(&self, option: &str, why: &str, record: &Record, site: &Site<'_>) -> Error {
        let record = match (site.partition(record), site.offset(record, "")) {
            (Some(partition), Ok(offset)) => format!("{}-{partition}@{offset}", site.topic(record)),
            _ => format!("a record for {}", site.topic(record)),
        };
        Error::bad_record(format!("{}{option}: {why} ({record})", self.prefix))
    }

    fn evaluate(&self, one: &Expression, variables: &mut Variables<'_>, record: &Record) -> Result<Option<Dynamic>> {
        match self.language.run(&one.ast, &mut variables.scope) {
            Ok(result) => Ok(Some(result.flatten())),
            Err(Stop::Dropped) => Ok(None),
            Err(Stop::Failed(why)) => Err(self.error(&one.option, &why, record, variables.site)),
        }
    }

    fn run(&mut self, record: &mut Record, site: &Site<'_>) -> Result<Verdict> {
        let mut variables = Variables::new(record, site, self.uses())?;
        if let Some(filter) = &self.filter {
            match self.evaluate(filter, &mut variables, record)?.map(|result| result.as_bool()) {
                Some(Ok(true)) => {}
                Some(Ok(false)) | None => return Ok(Verdict::Drop),
                Some(Err(found)) => {
                    return Err(self.error(
                        &filter.option,
                        &format!("neither true nor false but {found}"),
                        record,
                        site,
                    ));
                }
            }
        }
        if let Some(script) = &self.script
            && self.evaluate(script, &mut variables, record)?.is_none()
        {
            return Ok(Verdict::Drop);
        }
        // Every expression sees what the script left, none what another one sets.
        let mut results = Results::default();
        for (one, place) in
            [(&self.topic, &mut results.topic), (&self.key, &mut results.key), (&self.value, &mut results.value)]
        {
            if let Some(one) = one {
                *place = self.evaluate(one, &mut variables, record)?;
                if place.is_none() {
                    return Ok(Verdict::Drop);
                }
            }
        }
        for one in self.set.iter().map(|(_, one)| one).chain(self.headers.iter().map(|(_, one)| one)) {
            match self.evaluate(one, &mut variables, record)? {
                Some(result) => results.others.push(result),
                None => return Ok(Verdict::Drop),
            }
        }
        self.put(record, &mut variables, results)?;
        Ok(Verdict::Keep)
    }
}

impl PerRecord for Millrace {
    fn apply(&mut self, record: &mut Record, site: &Site<'_>) -> Result<Verdict> {
        self.run(record, site)
    }
}
