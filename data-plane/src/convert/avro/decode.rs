//! Avro's binary form, read by a plan that is made once per schema: each step knows what Connect value it makes, names are
//! shared, text and bytes are slices of the payload.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Decimal, Error, Result, Schema, Text, Type, Value, json};

use super::Options;
use super::connect::{self, branch_name, map_entry};
use super::encode::Writer;
use super::names::{self, ANYTHING, is_union};
use super::schema::{AvroSchema, Kind, NodeId};
use crate::convert::charset::utf8;
use crate::convert::json_value::{DATE, DECIMAL, TIME, TIMESTAMP};
use crate::convert::registry::{Read, Write as _};

/// Deeper values are refused, so that no later step can exhaust its stack.
const MAX_DEPTH: usize = 128;
/// So many items that take no bytes at all are believed in one block.
const MAX_EMPTY_ITEMS: usize = 65_536;

type StepId = usize;

/// What to read, and what to make of it.
#[derive(Debug)]
enum Step {
    /// Not made yet; none of these is left in a finished plan
    Open,
    Null,
    Boolean,
    Int,
    Int8,
    Int16,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Date,
    Time,
    Timestamp,
    Decimal {
        scale: i32,
    },
    Fixed(usize),
    FixedDecimal {
        size: usize,
        scale: i32,
    },
    Enum(Box<[Text]>),
    Array(StepId),
    Map(StepId),
    /// A map whose keys are no text, as pairs
    Pairs(StepId, StepId),
    Record(Box<[(Text, StepId)]>),
    /// Branches that all make the same kind of value, or null
    Optional(Box<[StepId]>),
    /// The struct's fields, and for each branch its field (None for null) and step
    Union(Box<[Text]>, Box<[(Option<usize>, StepId)]>),
    /// Data without a schema
    Anything(StepId),
}

/// A schema ready to read with.
#[derive(Debug)]
pub(in crate::convert) struct Reader {
    schema: Option<Arc<Schema>>,
    steps: Box<[Step]>,
    root: StepId,
    /// Bytes at the top are written without their length
    raw: bool,
    /// What makes of the value what another schema says
    resolved: Option<Box<(Writer, Reader)>>,
}

impl Reader {
    pub(super) fn new(avro: &AvroSchema, options: Options, version: Option<i32>) -> Result<Self> {
        let schema = connect::schema(avro, options, version)?;
        let mut planner = Planner { avro, options, steps: Vec::new(), records: Vec::new() };
        let root = planner.step(avro.root, schema.as_deref())?;
        let raw = matches!(avro.kind(avro.root), Kind::Bytes);
        Ok(Self { schema, steps: planner.steps.into(), root, raw, resolved: None })
    }

    /// The same, with values as another schema has them: they are written with it, which finds fields by name and knows
    /// defaults, and read again.
    pub(super) fn resolved(self, wanted: AvroSchema, reader: Self, options: Options) -> Self {
        let writer = Writer::new(self.schema.clone(), wanted, options);
        Self { resolved: Some(Box::new((writer, reader))), ..self }
    }
}

impl Read for Reader {
    fn read(&self, payload: &Bytes) -> Result<Datum> {
        let mut input = Input { steps: &self.steps, payload, at: 0, depth: 0 };
        let value = if self.raw {
            match &self.steps[self.root] {
                Step::Decimal { scale } => Value::Decimal(Decimal { unscaled: payload.as_ref().into(), scale: *scale }),
                _ => Value::Bytes(payload.clone()),
            }
        } else {
            input.value(self.root).map_err(|fault| {
                Error::bad_record(format!("the payload does not fit its Avro schema at byte {}: {fault}", input.at))
            })?
        };
        let Some(resolved) = &self.resolved else {
            return Ok(Datum::Decoded { schema: self.schema.clone(), value });
        };
        let mut written = Vec::with_capacity(payload.len());
        resolved.0.write(&value, &mut written)?;
        resolved.1.read(&written.into())
    }
}

struct Planner<'a> {
    avro: &'a AvroSchema,
    options: Options,
    steps: Vec<Step>,
    /// Records that have a step
    records: Vec<(NodeId, StepId)>,
}

impl Planner<'_> {
    fn add(&mut self, step: Step) -> StepId {
        self.steps.push(step);
        self.steps.len() - 1
    }

    /// The step of a node; `schema` is what Connect makes of it, None below a recursive name or without a schema.
    fn step(&mut self, id: NodeId, schema: Option<&Schema>) -> Result<StepId> {
        let avro = self.avro;
        let name = schema.and_then(|schema| schema.name.as_deref());
        let step = match avro.kind(id) {
            Kind::Null => Step::Null,
            Kind::Boolean => Step::Boolean,
            Kind::Int => match (schema.map(|schema| schema.kind), name) {
                (_, Some(DATE)) => Step::Date,
                (_, Some(TIME)) => Step::Time,
                (Some(Type::Int8), _) => Step::Int8,
                (Some(Type::Int16), _) => Step::Int16,
                _ => Step::Int,
            },
            Kind::Long if name == Some(TIMESTAMP) => Step::Timestamp,
            Kind::Long => Step::Long,
            Kind::Float => Step::Float,
            Kind::Double => Step::Double,
            Kind::Bytes => match schema.filter(|_| name == Some(DECIMAL)) {
                Some(schema) => Step::Decimal { scale: names::scale(schema) },
                None => Step::Bytes,
            },
            Kind::Fixed { size, .. } => match schema.filter(|_| name == Some(DECIMAL)) {
                Some(schema) => Step::FixedDecimal { size: *size, scale: names::scale(schema) },
                None => Step::Fixed(*size),
            },
            Kind::String => Step::String,
            Kind::Enum { symbols, .. } => {
                Step::Enum(symbols.iter().map(|symbol| Text::from(symbol.as_str())).collect())
            }
            Kind::Array(items) => match map_entry(avro, *items)? {
                Some((key, value)) => {
                    let key = self.step(key, schema.and_then(|schema| schema.key.as_deref()))?;
                    Step::Pairs(key, self.step(value, schema.and_then(|schema| schema.element.as_deref()))?)
                }
                None => Step::Array(self.step(*items, schema.and_then(|schema| schema.element.as_deref()))?),
            },
            Kind::Map(values) => Step::Map(self.step(*values, schema.and_then(|schema| schema.element.as_deref()))?),
            Kind::Record { .. } => return self.record(id, schema),
            Kind::Union(branches) => self.union(branches, schema)?,
        };
        Ok(self.add(step))
    }

    fn record(&mut self, id: NodeId, schema: Option<&Schema>) -> Result<StepId> {
        // Within itself a record has the step that is being made; elsewhere its parameters may differ, not its steps.
        if let Some((_, step)) = self.records.iter().find(|(record, _)| *record == id) {
            return Ok(*step);
        }
        let place = self.add(Step::Open);
        self.records.push((id, place));
        let Kind::Record { name, fields } = self.avro.kind(id) else { return Ok(place) };
        let mut steps = Vec::with_capacity(fields.len());
        for (index, field) in fields.iter().enumerate() {
            let of_field = schema.and_then(|schema| schema.fields.get(index)).map(|field| &*field.schema);
            let field_name = match schema.and_then(|schema| schema.fields.get(index)) {
                // One text for the schema and all values
                Some(field) => field.name.clone(),
                None => json::lasting_name(&field.name),
            };
            steps.push((field_name, self.step(field.node, of_field)?));
        }
        self.steps[place] = Step::Record(steps.into());
        if name.full() == ANYTHING {
            // Wherever it is used, its fields' elements included, it stands for the one value in it.
            let inner = std::mem::replace(&mut self.steps[place], Step::Open);
            let inner = self.add(inner);
            self.steps[place] = Step::Anything(inner);
        }
        Ok(place)
    }

    fn union(&mut self, branches: &[NodeId], schema: Option<&Schema>) -> Result<Step> {
        let Some(schema) = schema.filter(|schema| is_union(schema)) else {
            // A singleton, or null and one other; below a name that stands for itself, as it comes
            let steps = branches.iter().map(|branch| self.step(*branch, schema));
            return Ok(Step::Optional(steps.collect::<Result<_>>()?));
        };
        let mut steps = Vec::with_capacity(branches.len());
        for (index, branch) in branches.iter().enumerate() {
            let name = branch_name(self.avro, *branch, index, self.options);
            let field = schema.fields.iter().position(|field| field.name == *name);
            let of_branch = field.map(|field| &*schema.fields[field].schema);
            steps.push((field, self.step(*branch, of_branch)?));
        }
        Ok(Step::Union(schema.fields.iter().map(|field| field.name.clone()).collect(), steps.into()))
    }
}

/// What is wrong with a payload.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("it ends too early")]
    Short,
    #[error("a number of more than 64 bits")]
    Long,
    #[error("{0} does not fit {1}")]
    Range(i64, &'static str),
    #[error("a length below zero")]
    Negative,
    #[error("there is no branch {0} in the union")]
    Branch(i64),
    #[error("there is no symbol {0} in the enum")]
    Symbol(i64),
    #[error("a time must be from 0 to 86400000 milliseconds")]
    Time,
    #[error("it is nested deeper than 128 levels")]
    Deep,
    #[error("a list is longer than the payload can hold")]
    Items,
}

struct Input<'a> {
    steps: &'a [Step],
    payload: &'a Bytes,
    at: usize,
    depth: usize,
}

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.payload.get(self.at).ok_or(Fault::Short)?;
        self.at += 1;
        Ok(byte)
    }

    /// A zig-zag number of up to ten bytes.
    fn long(&mut self) -> Result<i64, Fault> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(i64::from(first >> 1) ^ -i64::from(first & 1));
        }
        let mut bits = u64::from(first & 0x7f);
        for shift in (7..70).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(Fault::Long);
            }
            bits |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
            }
        }
        Err(Fault::Long)
    }

    fn int(&mut self) -> Result<i32, Fault> {
        let long = self.long()?;
        i32::try_from(long).map_err(|_| Fault::Range(long, "32 bits"))
    }

    fn length(&mut self) -> Result<usize, Fault> {
        usize::try_from(self.long()?).map_err(|_| Fault::Negative)
    }

    fn part(&mut self, length: usize) -> Result<Range<usize>, Fault> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.payload.len()).ok_or(Fault::Short)?;
        Ok(std::mem::replace(&mut self.at, end)..end)
    }

    fn slice(&mut self, length: usize) -> Result<Bytes, Fault> {
        self.part(length).map(|part| self.payload.slice(part))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.payload.get(self.at..).and_then(|rest| rest.first_chunk::<N>()).ok_or(Fault::Short)?;
        self.at += N;
        Ok(*bytes)
    }

    fn text(&mut self) -> Result<Text, Fault> {
        let length = self.length()?;
        let part = self.part(length)?;
        // Text that is no UTF-8 is read as Java reads it.
        Ok(Text::slice(self.payload, part.clone()).unwrap_or_else(|_| utf8(&self.payload.slice(part))))
    }

    fn value(&mut self, step: StepId) -> Result<Value, Fault> {
        let mut value = Value::Null;
        self.read(step, &mut value)?;
        Ok(value)
    }

    /// Reads a value to where it shall be: handing it over through results took a quarter of all the time, because it was
    /// moved in other pieces than it was written in, for which the processor has to wait.
    fn read(&mut self, step: StepId, into: &mut Value) -> Result<(), Fault> {
        let steps = self.steps;
        *into = match &steps[step] {
            Step::Open | Step::Null => Value::Null,
            Step::Boolean => Value::Bool(self.byte()? != 0),
            Step::Int => Value::Int(i64::from(self.int()?)),
            Step::Int8 => {
                let long = self.long()?;
                Value::Int(i8::try_from(long).map_err(|_| Fault::Range(long, "INT8"))?.into())
            }
            Step::Int16 => {
                let long = self.long()?;
                Value::Int(i16::try_from(long).map_err(|_| Fault::Range(long, "INT16"))?.into())
            }
            Step::Long => Value::Int(self.long()?),
            Step::Float => Value::Float(f64::from(f32::from_le_bytes(self.array()?))),
            Step::Double => Value::Float(f64::from_le_bytes(self.array()?)),
            Step::Bytes => {
                let length = self.length()?;
                Value::Bytes(self.slice(length)?)
            }
            Step::String => Value::Str(self.text()?),
            Step::Date => Value::Date(self.int()?),
            Step::Time => match self.int()? {
                millis @ 0..=86_400_000 => Value::Time(millis),
                _ => return Err(Fault::Time),
            },
            Step::Timestamp => Value::Timestamp(self.long()?),
            Step::Decimal { scale } => {
                let length = self.length()?;
                Value::Decimal(Decimal { unscaled: self.slice(length)?.as_ref().into(), scale: *scale })
            }
            Step::Fixed(size) => Value::Bytes(self.slice(*size)?),
            Step::FixedDecimal { size, scale } => {
                Value::Decimal(Decimal { unscaled: shortest(&self.slice(*size)?).into(), scale: *scale })
            }
            Step::Enum(symbols) => {
                let index = self.long()?;
                let symbol = usize::try_from(index).ok().and_then(|index| symbols.get(index));
                Value::Str(symbol.ok_or(Fault::Symbol(index))?.clone())
            }
            Step::Optional(branches) => {
                let index = self.long()?;
                let branch = usize::try_from(index).ok().and_then(|index| branches.get(index));
                return self.read(*branch.ok_or(Fault::Branch(index))?, into);
            }
            nested => self.nested(nested)?,
        };
        Ok(())
    }

    /// Values with values in them.
    fn nested(&mut self, step: &Step) -> Result<Value, Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(Fault::Deep);
        }
        self.depth += 1;
        let value = match step {
            Step::Record(fields) => {
                let mut values: Vec<_> = fields.iter().map(|(name, _)| (name.clone(), Value::Null)).collect();
                for ((_, value), (_, step)) in values.iter_mut().zip(fields) {
                    self.read(*step, value)?;
                }
                Value::Map(values)
            }
            Step::Array(items) => Value::List(self.blocks(|input| input.value(*items))?),
            Step::Map(values) => Value::Map(self.blocks(|input| Ok((input.text()?, input.value(*values)?)))?),
            Step::Pairs(key, value) => {
                Value::List(self.blocks(|input| Ok(Value::List(vec![input.value(*key)?, input.value(*value)?])))?)
            }
            Step::Union(names, branches) => {
                let index = self.long()?;
                let branch = usize::try_from(index).ok().and_then(|index| branches.get(index));
                match branch.ok_or(Fault::Branch(index))? {
                    (None, _) => Value::Null,
                    (Some(field), step) => {
                        let mut fields: Vec<_> = names.iter().map(|name| (name.clone(), Value::Null)).collect();
                        self.read(*step, &mut fields[*field].1)?;
                        Value::Map(fields)
                    }
                }
            }
            Step::Anything(inner) => match self.value(*inner)? {
                Value::Map(fields) => anything(fields),
                other => other,
            },
            _ => Value::Null,
        };
        self.depth -= 1;
        Ok(value)
    }

    /// The items of all blocks of a list or map.
    fn blocks<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        let mut items = Vec::new();
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                // With its length in bytes, for those who pass it over
                self.length()?;
                count = count.checked_neg().ok_or(Fault::Items)?;
            }
            let count = usize::try_from(count).map_err(|_| Fault::Items)?;
            if count > (self.payload.len() - self.at).max(MAX_EMPTY_ITEMS)
                || items.len() > self.payload.len().max(MAX_EMPTY_ITEMS)
            {
                return Err(Fault::Items);
            }
            items.reserve(count.min(1024));
            for _ in 0..count {
                items.push(item(self)?);
            }
        }
    }
}

/// The one value of a record that holds data without a schema; a map with text keys is one.
fn anything(fields: Vec<(Text, Value)>) -> Value {
    let Some((name, value)) = fields.into_iter().find(|(_, value)| *value != Value::Null) else { return Value::Null };
    let pairs = match value {
        Value::List(pairs) if name == "map" => pairs,
        other => return other,
    };
    let entry = |pair: &Value| match pair {
        Value::List(pair) => match &pair[..] {
            [Value::Str(key), value] => Some((key.clone(), value.clone())),
            _ => None,
        },
        _ => None,
    };
    pairs.iter().map(entry).collect::<Option<Vec<_>>>().map_or_else(|| Value::List(pairs.clone()), Value::Map)
}

/// Without the sign bytes that a fixed is filled with, as Java's `BigInteger` has it.
fn shortest(unscaled: &[u8]) -> &[u8] {
    let fill = |pair: &[u8]| (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80);
    let spare = unscaled.windows(2).take_while(|pair| fill(pair)).count();
    &unscaled[spare..]
}
