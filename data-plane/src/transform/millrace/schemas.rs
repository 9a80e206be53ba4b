//! The schema of what an expression made: the old one as far as the new value fits it, else one taken from the value.

use std::sync::Arc;

use millrace_sdk::{Decimal, Field, Schema, Type, Value};

use super::super::data::{DATE, Fields, TIME, TIMESTAMP, field, plain};

/// The schema for a value, and the value as that schema has it.
///
/// # Errors
/// When a list holds values that no schema has room for.
pub(super) fn fitted(value: Value, old: Option<&Arc<Schema>>) -> Result<(Arc<Schema>, Value), String> {
    if let Some(old) = old {
        if let Some(value) = fit(&value, old, false) {
            return Ok((Arc::clone(old), value));
        }
        if old.kind == Type::Struct
            && let Value::Map(fields) = value
        {
            return structure(fields, old);
        }
    }
    let inferred = inferred(&value);
    match fit(&value, &inferred, true) {
        Some(value) => Ok((inferred, value)),
        None => Err("a list with elements of different types has no schema".to_owned()),
    }
}

/// A struct with the fields that it has now, each with its old schema where that fits.
pub(super) fn structure(fields: Fields, old: &Schema) -> Result<(Arc<Schema>, Value), String> {
    let mut made = Schema { fields: Vec::with_capacity(fields.len()), default: None, ..old.clone() };
    let mut values = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let (schema, value) = fitted(value, field(old, &name).map(|field| &field.schema))?;
        made.fields.push(Field { name: name.clone(), schema });
        values.push((name, value));
    }
    Ok((Arc::new(made), Value::Map(values)))
}

/// The value as a schema has it; None when it does not fit. With `gaps`, fields may be absent from structs.
fn fit(value: &Value, schema: &Schema, gaps: bool) -> Option<Value> {
    let name = schema.name.as_deref();
    match (schema.kind, value) {
        (_, Value::Null) => schema.optional.then_some(Value::Null),
        (Type::Int32, Value::Date(_) | Value::Time(_)) | (Type::Int64, Value::Timestamp(_)) => Some(value.clone()),
        (Type::Bytes, Value::Decimal(_)) => Some(value.clone()),
        (Type::Int32, Value::Int(number)) if name == Some(DATE) => i32::try_from(*number).ok().map(Value::Date),
        (Type::Int32, Value::Int(number)) if name == Some(TIME) => i32::try_from(*number).ok().map(Value::Time),
        (Type::Int64, Value::Int(number)) if name == Some(TIMESTAMP) => Some(Value::Timestamp(*number)),
        (Type::Int8, Value::Int(number)) => i8::try_from(*number).is_ok().then(|| value.clone()),
        (Type::Int16, Value::Int(number)) => i16::try_from(*number).is_ok().then(|| value.clone()),
        (Type::Int32, Value::Int(number)) => i32::try_from(*number).is_ok().then(|| value.clone()),
        (Type::Int64, Value::Int(_)) => Some(value.clone()),
        (Type::Float32 | Type::Float64, Value::Float(_)) => Some(value.clone()),
        #[allow(clippy::cast_precision_loss)] // an integer where the schema has a float
        (Type::Float32 | Type::Float64, Value::Int(number)) => Some(Value::Float(*number as f64)),
        (Type::Boolean, Value::Bool(_)) | (Type::String, Value::Str(_)) => Some(value.clone()),
        (Type::Bytes, Value::Int(_) | Value::Float(_)) => decimal(value, schema).map(Value::Decimal),
        (Type::Bytes, Value::Bytes(_)) if name.is_none() => Some(value.clone()),
        (Type::Array, Value::List(items)) => {
            let element = schema.element.as_deref()?;
            items.iter().map(|item| fit(item, element, gaps)).collect::<Option<Vec<_>>>().map(Value::List)
        }
        (Type::Map, Value::Map(fields)) => {
            let element = schema.element.as_deref()?;
            let fields = fields.iter().map(|(name, value)| Some((name.clone(), fit(value, element, gaps)?)));
            fields.collect::<Option<Vec<_>>>().map(Value::Map)
        }
        (Type::Struct, Value::Map(fields)) => {
            if fields.iter().any(|(name, _)| field(schema, name).is_none()) {
                return None;
            }
            let member = |field: &Field| {
                let value = fields.iter().find(|(name, _)| *name == field.name).map(|(_, value)| value);
                let value = value.or(gaps.then_some(&Value::Null))?;
                Some((field.name.clone(), fit(value, &field.schema, gaps)?))
            };
            schema.fields.iter().map(member).collect::<Option<Vec<_>>>().map(Value::Map)
        }
        _ => None,
    }
}

/// A number as a decimal of the schema's scale, when it has no more digits than that.
fn decimal(value: &Value, schema: &Schema) -> Option<Decimal> {
    if schema.name.as_deref() != Some("org.apache.kafka.connect.data.Decimal") {
        return None;
    }
    let scale = schema.parameters.iter().find(|(name, _)| **name == *"scale")?.1.parse::<i32>().ok()?;
    let text = match value {
        Value::Int(number) => number.to_string(),
        Value::Float(number) if number.is_finite() => number.to_string(),
        _ => return None,
    };
    let parsed = Decimal::parse(&text).ok()?;
    let missing = usize::try_from(scale.checked_sub(parsed.scale)?).ok().filter(|missing| *missing <= 100)?;
    let digits = format!("{}{}", parsed.digits().ok()?, "0".repeat(missing));
    Decimal::from_digits(parsed.is_negative(), &digits, scale).ok()
}

/// A schema of what a value shows; everything is optional.
fn inferred(value: &Value) -> Arc<Schema> {
    let named = |kind, name: &'static str| super::super::data::logical(kind, name, true);
    match value {
        Value::Null | Value::Str(_) => plain(Type::String, true),
        Value::Bool(_) => plain(Type::Boolean, true),
        Value::Int(_) => plain(Type::Int64, true),
        Value::Float(_) | Value::Json(_) => plain(Type::Float64, true),
        Value::Bytes(_) => plain(Type::Bytes, true),
        Value::Date(_) => named(Type::Int32, DATE),
        Value::Time(_) => named(Type::Int32, TIME),
        Value::Timestamp(_) => named(Type::Int64, TIMESTAMP),
        Value::Decimal(decimal) => {
            let mut schema = Schema::clone(&named(Type::Bytes, "org.apache.kafka.connect.data.Decimal"));
            schema.parameters.push(("scale".into(), decimal.scale.to_string().into()));
            Arc::new(schema)
        }
        Value::List(items) => {
            let element = items.iter().map(inferred).reduce(|one, two| merged(&one, &two));
            let element = Some(element.unwrap_or_else(|| plain(Type::String, true)));
            Arc::new(Schema { optional: true, element, ..Schema::of(Type::Array) })
        }
        Value::Map(fields) => {
            let fields = fields.iter().map(|(name, value)| Field { name: name.clone(), schema: inferred(value) });
            Arc::new(Schema { optional: true, fields: fields.collect(), ..Schema::of(Type::Struct) })
        }
    }
}

/// A schema for both; where there is none, the first.
fn merged(one: &Arc<Schema>, two: &Arc<Schema>) -> Arc<Schema> {
    match (one.kind, two.kind) {
        (Type::Int64, Type::Float64) => Arc::clone(two),
        (Type::Struct, Type::Struct) => {
            let mut both = Schema::clone(one);
            for other in &two.fields {
                match both.fields.iter_mut().find(|known| known.name == other.name) {
                    Some(known) => known.schema = merged(&known.schema, &other.schema),
                    None => both.fields.push(other.clone()),
                }
            }
            Arc::new(both)
        }
        _ => Arc::clone(one),
    }
}
