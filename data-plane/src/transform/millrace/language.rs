//! The expression language: Rhai without anything that reaches out of the record, with limits on time and memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fancy_regex::Regex;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicBlobPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage,
    BasicMathPackage, BasicStringPackage, BitFieldPackage, LogicPackage, MoreStringPackage, Package as _,
};
use rhai::{AST, Dynamic, Engine, EvalAltResult, ImmutableString, Map, Position, Scope};

use super::super::java::date_format::DateFormat;
use super::document::Document;

type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// Elements of a list, bytes of a blob and fields of a map, with everything within.
const MAX_ELEMENTS: usize = 10_000;
/// Variables of a script, those it is given included.
const MAX_VARIABLES: usize = 32;
/// Calls within calls.
const MAX_CALLS: usize = 8;
/// Time for one record: far more than the operations take, so that a starved machine refuses nothing.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Operations between two looks at the clock.
const CLOCK_EVERY: u64 = 256;

/// What a script throws to drop the record.
#[derive(Debug, Clone)]
struct Dropped;

/// Why an expression came to no result.
#[derive(Debug, PartialEq)]
pub(super) enum Stop {
    /// It called `drop()`
    Dropped,
    Failed(String),
}

pub(super) struct Language {
    engine: Engine,
    /// When the running expression must have ended, in nanoseconds after `start`
    deadline: Arc<AtomicU64>,
    start: Instant,
    max_operations: u64,
    max_bytes: usize,
}

impl Language {
    pub(super) fn new(max_operations: u64, max_bytes: usize) -> Self {
        let mut engine = Engine::new_raw();
        // One by one, so that neither clock nor sleep comes along.
        for module in [
            ArithmeticPackage::new().as_shared_module(),
            BasicStringPackage::new().as_shared_module(),
            BasicIteratorPackage::new().as_shared_module(),
            BasicFnPackage::new().as_shared_module(),
            BitFieldPackage::new().as_shared_module(),
            LogicPackage::new().as_shared_module(),
            BasicMathPackage::new().as_shared_module(),
            BasicArrayPackage::new().as_shared_module(),
            BasicBlobPackage::new().as_shared_module(),
            BasicMapPackage::new().as_shared_module(),
            MoreStringPackage::new().as_shared_module(),
        ] {
            engine.register_global_module(module);
        }
        engine
            .set_max_operations(max_operations)
            .set_max_string_size(max_bytes)
            .set_max_array_size(MAX_ELEMENTS)
            .set_max_map_size(MAX_ELEMENTS)
            .set_max_variables(MAX_VARIABLES)
            .set_max_functions(MAX_VARIABLES)
            .set_max_call_levels(MAX_CALLS)
            .set_max_expr_depths(64, 32)
            .set_strict_variables(true)
            .disable_symbol("eval");
        engine.on_print(|_| {});
        engine.on_debug(|_, _, _| {});
        register_documents(&mut engine, max_bytes);
        register_functions(&mut engine);
        let (start, deadline) = (Instant::now(), Arc::new(AtomicU64::new(u64::MAX)));
        let end = Arc::clone(&deadline);
        engine.on_progress(move |operations| {
            let late = operations % CLOCK_EVERY == 0 && nanos(start.elapsed()) > end.load(Ordering::Relaxed);
            late.then_some(Dynamic::UNIT)
        });
        Self { engine, deadline, start, max_operations, max_bytes }
    }

    /// Compiles one expression.
    pub(super) fn expression(&self, text: &str, known: &Scope<'_>) -> Result<AST, String> {
        self.engine.compile_expression_with_scope(known, text).map_err(|error| error.to_string())
    }

    /// Compiles statements.
    pub(super) fn script(&self, text: &str, known: &Scope<'_>) -> Result<AST, String> {
        self.engine.compile_with_scope(known, text).map_err(|error| error.to_string())
    }

    /// Runs what was compiled.
    pub(super) fn run(&self, ast: &AST, scope: &mut Scope<'_>) -> Result<Dynamic, Stop> {
        self.deadline.store(nanos(self.start.elapsed() + MAX_TIME), Ordering::Relaxed);
        self.engine.eval_ast_with_scope::<Dynamic>(scope, ast).map_err(|error| self.stop(&error))
    }

    fn stop(&self, error: &EvalAltResult) -> Stop {
        let mut innermost = error;
        while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) = innermost {
            innermost = inner;
        }
        let limit = match innermost {
            EvalAltResult::ErrorTerminated(token, _) if token.is::<Dropped>() => return Stop::Dropped,
            EvalAltResult::ErrorTerminated(..) => format!("it ran longer than {} s for one record", MAX_TIME.as_secs()),
            EvalAltResult::ErrorTooManyOperations(_) => {
                format!("it needs more than max.operations={} operations for one record", self.max_operations)
            }
            EvalAltResult::ErrorDataTooLarge(what, _) => format!(
                "{} beyond the limit (max.bytes={} for texts, {MAX_ELEMENTS} elements for lists and maps)",
                what.to_lowercase(),
                self.max_bytes
            ),
            EvalAltResult::ErrorTooManyVariables(_) => format!("it has more than {MAX_VARIABLES} variables"),
            EvalAltResult::ErrorStackOverflow(_) => format!("it calls functions more than {MAX_CALLS} deep"),
            _ => return Stop::Failed(error.to_string()),
        };
        let place = match innermost.position() {
            Position::NONE => String::new(),
            position => format!(" ({position})"),
        };
        Stop::Failed(format!("stopped at a limit: {limit}{place}"))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn failed(why: impl std::fmt::Display) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorRuntime(Dynamic::from(why.to_string()), Position::NONE))
}

/// What can be done with `value` and `key`: fields by name, and what maps offer without copying everything.
fn register_documents(engine: &mut Engine, max_bytes: usize) {
    engine.register_type_with_name::<Document>("record");
    engine.register_indexer_get(|document: &mut Document, name: ImmutableString| -> Outcome<Dynamic> {
        document.get(&name).map_err(failed)
    });
    engine.register_indexer_set(move |document: &mut Document, name: ImmutableString, value: Dynamic| -> Outcome<()> {
        document.set(&name, value);
        let held = document.held();
        if held.elements > MAX_ELEMENTS || held.bytes > max_bytes {
            let what = "Size of key or value".to_owned();
            return Err(Box::new(EvalAltResult::ErrorDataTooLarge(what, Position::NONE)));
        }
        Ok(())
    });
    engine.register_fn("contains", |document: &mut Document, name: ImmutableString| document.contains(&name));
    engine.register_fn("len", |document: &mut Document| i64::try_from(document.len()).unwrap_or(i64::MAX));
    engine.register_fn("keys", |document: &mut Document| document.keys());
    engine.register_fn("remove", |document: &mut Document, name: ImmutableString| -> Outcome<Dynamic> {
        document.remove(&name).map_err(failed)
    });
    engine.register_fn("to_map", |document: &mut Document| -> Outcome<Map> { document.to_map().map_err(failed) });
    engine.register_fn("to_json", |document: &mut Document| -> Outcome<ImmutableString> {
        json_text(&Dynamic::from_map(document.to_map().map_err(failed)?))
    });
}

fn json_text(value: &Dynamic) -> Outcome<ImmutableString> {
    let value = super::values::from_dynamic(value, None).map_err(failed)?;
    let mut out = Vec::new();
    millrace_sdk::json::write(&value, &mut out).map_err(failed)?;
    String::from_utf8(out).map(ImmutableString::from).map_err(failed)
}

fn regex(pattern: &str) -> Outcome<Regex> {
    Regex::new(pattern).map_err(failed)
}

/// What records need and the language does not have.
fn register_functions(engine: &mut Engine) {
    engine.register_fn("drop", || -> Outcome<()> {
        Err(Box::new(EvalAltResult::ErrorTerminated(Dynamic::from(Dropped), Position::NONE)))
    });
    engine.register_fn("parse_json", |text: &str| -> Outcome<Dynamic> {
        let bytes = millrace_sdk::Bytes::copy_from_slice(text.as_bytes());
        millrace_sdk::json::validate(&bytes).map_err(failed)?;
        super::values::to_dynamic(&millrace_sdk::Value::Json(bytes)).map_err(failed)
    });
    engine.register_fn("json", |value: Dynamic| json_text(&value));
    engine.register_fn("matches", |text: &str, pattern: &str| -> Outcome<bool> {
        regex(pattern)?.is_match(text).map_err(failed)
    });
    engine.register_fn("replace_all", |text: &str, pattern: &str, by: &str| -> Outcome<ImmutableString> {
        let replaced = regex(pattern)?.try_replacen(text, 0, by).map_err(failed)?.into_owned();
        Ok(replaced.into())
    });
    engine.register_fn("format_time", |millis: i64, pattern: &str| -> Outcome<ImmutableString> {
        let mut out = String::new();
        DateFormat::new(pattern, 0).map_err(failed)?.format(millis, &mut out);
        Ok(out.into())
    });
    engine.register_fn("parse_time", |text: &str, pattern: &str| -> Outcome<i64> {
        let format = DateFormat::new(pattern, 0).map_err(failed)?;
        format.parse(text).ok_or_else(|| failed(format!("not a time of the form {pattern}")))
    });
}
