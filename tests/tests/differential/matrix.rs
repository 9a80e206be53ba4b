//! All cases, as tables: `transforms`, `debezium`, `records` and `registry` for sinks, `sources` for sources.

mod debezium;
mod records;
mod registry;
pub(crate) mod sources;
mod transforms;

use crate::case::{Case, Config, OUT, Options, config, proofs};
use crate::sets::SetId;

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const STRING: &str = "org.apache.kafka.connect.storage.StringConverter";
const PACKAGE: &str = "org.apache.kafka.connect.transforms.";

/// A transform with options.
struct Row {
    name: &'static str,
    class: &'static str,
    on: On,
    options: Options,
    /// Options that make a difference, and what they are switched to
    proves: Options,
}

/// What a transform is tried on.
enum On {
    /// Keys and values, without and with schemas
    All,
    /// Keys and values without schemas
    Plain,
    /// Keys and values with schemas
    Typed,
    /// Whole records, without and with schemas
    Record,
    /// The values of records with schemas
    TypedValue,
    /// Whole records with schemas
    TypedRecord,
}

const fn row(name: &'static str, class: &'static str, on: On, options: Options, proves: Options) -> Row {
    Row { name, class, on, options, proves }
}

/// A whole configuration.
struct Whole {
    name: &'static str,
    set: SetId,
    config: Options,
    proves: Options,
}

const fn whole(name: &'static str, set: SetId, config: Options, proves: Options) -> Whole {
    Whole { name, set, config, proves }
}

/// Every case of a sink.
pub(crate) fn sinks() -> Vec<Case> {
    let mut cases: Vec<Case> = transforms::ROWS.iter().flat_map(expanded).collect();
    cases.extend(records::all().chain(debezium::all()).chain(registry::all()).map(|whole| {
        let mut config = config(whole.config);
        config.entry("errors.tolerance".to_owned()).or_insert_with(|| "all".to_owned());
        let mut cases_proofs = proofs(&config, "", whole.proves);
        for proof in &mut cases_proofs {
            proof.config.entry("errors.tolerance".to_owned()).or_insert_with(|| "all".to_owned());
        }
        Case { name: whole.name.to_owned(), set: whole.set, config, proofs: cases_proofs, selected: false }
    }));
    select(&mut cases);
    cases
}

/// Of every other row `make test` runs one variant, in turn.
fn select(cases: &mut [Case]) {
    let mut before = String::new();
    let mut turn = 0;
    for index in 0..cases.len() {
        let base = cases[index].name.split('/').next().unwrap_or_default().to_owned();
        if base != before {
            let variants = cases.iter().filter(|case| case.name.split('/').next() == Some(&base)).count();
            for (variant, case) in cases[index..index + variants].iter_mut().enumerate() {
                case.selected = turn % 2 == 0 && variant == turn / 2 % variants;
            }
            turn += 1;
            before = base;
        }
    }
}

fn expanded(row: &Row) -> Vec<Case> {
    let (sides, sets): (&[&str], &[SetId]) = match row.on {
        On::All => (&["$Value", "$Key"], &[SetId::Plain, SetId::Typed]),
        On::Plain => (&["$Value", "$Key"], &[SetId::Plain]),
        On::Typed => (&["$Value", "$Key"], &[SetId::Typed]),
        On::Record => (&[""], &[SetId::Plain, SetId::Typed]),
        On::TypedValue => (&["$Value"], &[SetId::Typed]),
        On::TypedRecord => (&[""], &[SetId::Typed]),
    };
    let mut cases = Vec::new();
    for set in sets {
        for side in sides {
            let schemas = (*set == SetId::Typed).to_string();
            let mut config = json_config(&schemas);
            if row.options.contains(&transforms::KEEP_NULL) {
                // Otherwise the converter leaves no null for the transform.
                for role in ["key", "value"] {
                    config.insert(format!("{role}.converter.replace.null.with.default"), "false".to_owned());
                }
            }
            config.insert("transforms".to_owned(), "t".to_owned());
            config.insert("transforms.t.type".to_owned(), format!("{PACKAGE}{}{side}", row.class));
            for (option, value) in row.options {
                // Predicates stand in the same table.
                let key = if option.starts_with("predicates") {
                    (*option).to_owned()
                } else {
                    format!("transforms.t.{option}")
                };
                config.insert(key, (*value).to_owned());
            }
            let switches = row.proves.iter().partition::<Vec<_>, _>(|(option, _)| option.starts_with("predicates"));
            let mut all = Vec::new();
            for (prefix, switches) in [("", switches.0), ("transforms.t.", switches.1)] {
                for switch in switches {
                    all.extend(proofs(&config, prefix, std::slice::from_ref(switch)));
                }
            }
            let name = format!("{}{}/{}", row.name, side.replace('$', "/"), set.topic());
            cases.push(Case { name, set: *set, config, proofs: all, selected: false });
        }
    }
    cases
}

/// JSON keys and values, and every record that fails is a dead letter.
fn json_config(schemas: &str) -> Config {
    let pairs = [
        ("key.converter", JSON),
        ("key.converter.schemas.enable", schemas),
        ("value.converter", JSON),
        ("value.converter.schemas.enable", schemas),
        ("errors.tolerance", "all"),
    ];
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}
