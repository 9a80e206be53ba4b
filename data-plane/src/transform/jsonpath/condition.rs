//! Whether a filter's condition holds.

use std::cmp::Ordering;

use millrace_sdk::{Result, Value};

use super::{Condition, Number, Operand, Operator, absent};

impl Condition {
    pub(super) fn holds(&self, root: &Value, here: &Value, missing: &mut bool) -> Result<bool> {
        match self {
            Self::Or(parts) => {
                for part in parts {
                    if part.holds(root, here, missing)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::And(parts) => {
                for part in parts {
                    if !part.holds(root, here, missing)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Not(part) => Ok(!part.holds(root, here, missing)?),
            // To ask whether there is a field is to expect that there is none.
            Self::Exists(path) => {
                let start = if path.from_root { root.open()? } else { here.clone() };
                Ok(!path.walk(root, vec![start], &mut false)?.is_empty())
            }
            Self::Compare(left, operator, right) => {
                let expects_null = [left, right].iter().any(|one| matches!(one, Operand::Literal(Value::Null)));
                let mut unseen = false;
                let seen = if expects_null { &mut unseen } else { missing };
                let one = left.value(root, here, seen)?;
                let two = right.value(root, here, seen)?;
                compare(one.as_ref(), *operator, two.as_ref(), right)
            }
        }
    }
}

impl Operand {
    /// Its value; None when a path leads nowhere. A path that may find several makes a list of what it found.
    fn value(&self, root: &Value, here: &Value, missing: &mut bool) -> Result<Option<Value>> {
        match self {
            Self::Literal(value) => Ok(Some(value.clone())),
            Self::Regex(_) => Ok(None),
            Self::Path(path) => {
                let start = if path.from_root { root.open()? } else { here.clone() };
                let mut found = path.walk(root, vec![start], missing)?;
                *missing |= absent(&found);
                if path.is_definite() { Ok(found.pop()) } else { Ok(Some(Value::List(found))) }
            }
        }
    }
}

fn compare(one: Option<&Value>, operator: Operator, two: Option<&Value>, right: &Operand) -> Result<bool> {
    if operator == Operator::Matches {
        let Operand::Regex(regex) = right else { return Ok(false) };
        return Ok(one.and_then(text).is_some_and(|text| regex.is_match(&text).unwrap_or(false)));
    }
    let (Some(one), Some(two)) = (one, two) else {
        return Ok(matches!(operator, Operator::NotEqual | Operator::NotIn | Operator::NoneOf)
            && (one.is_some() || two.is_some()));
    };
    let order = || ordering(one, two);
    Ok(match operator {
        Operator::Equal => equal(one, two)?,
        Operator::NotEqual => !equal(one, two)?,
        Operator::Less => order() == Some(Ordering::Less),
        Operator::LessOrEqual => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order() == Some(Ordering::Greater),
        Operator::GreaterOrEqual => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
        Operator::Matches => false,
        Operator::In => among(one, two)?,
        Operator::NotIn => !among(one, two)?,
        Operator::Contains => match (one, two) {
            (Value::Str(text), Value::Str(part)) => text.contains(&**part),
            _ => among(two, one)?,
        },
        Operator::SubsetOf => all(one, two)?,
        Operator::AnyOf => any(one, two)?,
        Operator::NoneOf => !any(one, two)?,
        Operator::Size => length(one).zip(Number::of(two)).is_some_and(|(length, size)| {
            i64::try_from(length).is_ok_and(|length| Number::Int(length).compare(size) == Some(Ordering::Equal))
        }),
        Operator::Empty => length(one).zip(flag(two)).is_some_and(|(length, empty)| (length == 0) == empty),
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Str(text) => Some(text.to_string()),
        Value::Int(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        _ => None,
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Str(text) => Some(text.encode_utf16().count()),
        Value::List(items) => Some(items.len()),
        Value::Map(fields) => Some(fields.len()),
        _ => None,
    }
}

fn ordering(one: &Value, two: &Value) -> Option<Ordering> {
    match (one, two) {
        (Value::Str(one), Value::Str(two)) => Some(one.cmp(two)),
        _ => Number::of(one)?.compare(Number::of(two)?),
    }
}

/// Numbers and texts of numbers are equal when the numbers are.
fn equal(one: &Value, two: &Value) -> Result<bool> {
    Ok(match (one, two) {
        (Value::Str(text), other) | (other, Value::Str(text)) if !matches!(other, Value::Str(_)) => {
            let numbers = Number::of_text(text).zip(Number::of(other));
            numbers.is_some_and(|(one, two)| one.compare(two) == Some(Ordering::Equal))
        }
        (Value::List(ones), Value::List(twos)) => ones.len() == twos.len() && pairwise(ones.iter().zip(twos.iter()))?,
        (Value::Map(ones), Value::Map(twos)) => {
            if ones.len() != twos.len() {
                return Ok(false);
            }
            for (name, member) in ones {
                let Some((_, other)) = twos.iter().find(|(other, _)| other == name) else { return Ok(false) };
                if !equal(&member.open()?, &other.open()?)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => match Number::of(one).zip(Number::of(two)) {
            Some((one, two)) => one.compare(two) == Some(Ordering::Equal),
            None => one == two,
        },
    })
}

fn pairwise<'a>(mut pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Result<bool> {
    pairs.try_fold(true, |all, (one, two)| Ok(all && equal(&one.open()?, &two.open()?)?))
}

fn among(one: &Value, list: &Value) -> Result<bool> {
    let Value::List(items) = list else { return Ok(false) };
    for item in items {
        if equal(one, &item.open()?)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn all(one: &Value, list: &Value) -> Result<bool> {
    let Value::List(items) = one else { return Ok(false) };
    for item in items {
        if !among(&item.open()?, list)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any(one: &Value, list: &Value) -> Result<bool> {
    let Value::List(items) = one else { return Ok(false) };
    for item in items {
        if among(&item.open()?, list)? {
            return Ok(true);
        }
    }
    Ok(false)
}
