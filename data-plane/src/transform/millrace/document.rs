//! A record's key or value as expressions see it: a map whose fields are turned into the language's values when they are
//! asked for, and which knows what was changed.

use millrace_sdk::{ByteString, Result, Value};
use rhai::{Array, Dynamic, Map};

use super::super::data::{Fields, Side};
use super::values::{from_dynamic, to_dynamic};

/// A field: as it was, and what an expression made of it.
#[derive(Debug, Clone)]
struct Slot {
    name: ByteString,
    before: Option<Value>,
    after: Option<Dynamic>,
}

/// The fields, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Document {
    slots: Vec<Slot>,
    /// What it is, as long as it is unchanged
    unchanged: Option<Side>,
}

impl Document {
    /// The fields of a key or a value.
    pub(super) fn new(fields: Fields, side: Side) -> Self {
        let slot = |(name, value)| Slot { name, before: Some(value), after: None };
        Self { slots: fields.into_iter().map(slot).collect(), unchanged: Some(side) }
    }

    /// What a script made.
    pub(super) fn made(map: Map) -> Self {
        let slot = |(name, value): (_, Dynamic)| Slot { name: text(&name), before: None, after: Some(value) };
        Self { slots: map.into_iter().map(slot).collect(), unchanged: None }
    }

    /// Whether this is the unchanged key, or value.
    pub(super) fn is_still(&self, side: Side) -> bool {
        self.unchanged == Some(side)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|slot| *slot.name == *name)
    }

    /// A field's value; unit when there is none.
    pub(super) fn get(&self, name: &str) -> Result<Dynamic> {
        self.position(name).map_or(Ok(Dynamic::UNIT), |index| self.slots[index].dynamic())
    }

    pub(super) fn set(&mut self, name: &str, value: Dynamic) {
        self.unchanged = None;
        match self.position(name) {
            Some(index) => self.slots[index].after = Some(value),
            None => {
                self.slots.push(Slot { name: text(&name), before: None, after: Some(value) });
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<Dynamic> {
        let Some(index) = self.position(name) else { return Ok(Dynamic::UNIT) };
        self.unchanged = None;
        self.slots.remove(index).dynamic()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn keys(&self) -> Array {
        self.slots.iter().map(|slot| Dynamic::from(slot.name.to_string())).collect()
    }

    pub(super) fn to_map(&self) -> Result<Map> {
        self.slots.iter().map(|slot| Ok((slot.name.to_string().into(), slot.dynamic()?))).collect()
    }

    /// Sets the value at a path, making the maps that lead there. Err names the step that is no map.
    pub(super) fn set_path(&mut self, path: &[String], value: Dynamic) -> Result<Result<(), String>> {
        let Some((first, rest)) = path.split_first() else { return Ok(Ok(())) };
        if rest.is_empty() {
            self.set(first, value);
            return Ok(Ok(()));
        }
        let mut top = self.get(first)?;
        let done = at_path(&mut top, first, rest, true, |map, name| {
            map.insert(name.into(), value);
        });
        if done.is_ok() {
            self.set(first, top);
        }
        Ok(done)
    }

    /// Takes out what is at a path, if it is there.
    pub(super) fn remove_path(&mut self, path: &[String]) -> Result<()> {
        let Some((first, rest)) = path.split_first() else { return Ok(()) };
        if rest.is_empty() {
            return self.remove(first).map(|_| ());
        }
        let mut top = self.get(first)?;
        let mut removed = false;
        let _ = at_path(&mut top, first, rest, false, |map, name| removed = map.remove(name).is_some());
        if removed {
            self.set(first, top);
        }
        Ok(())
    }

    /// The fields with their new values. What was only looked at is as it was.
    pub(super) fn into_value(self) -> Result<Value, String> {
        let value = |slot: Slot| match (slot.after, slot.before) {
            (Some(after), before) => Ok((slot.name, from_dynamic(&after, before.as_ref())?)),
            (None, before) => Ok((slot.name, before.unwrap_or(Value::Null))),
        };
        self.slots.into_iter().map(value).collect::<Result<_, _>>().map(Value::Map)
    }
}

fn text(name: &impl AsRef<str>) -> ByteString {
    ByteString::from(name.as_ref().to_owned())
}

impl Slot {
    fn dynamic(&self) -> Result<Dynamic> {
        match (&self.after, &self.before) {
            (Some(after), _) => Ok(after.clone()),
            (None, Some(before)) => to_dynamic(before),
            (None, None) => Ok(Dynamic::UNIT),
        }
    }
}

/// Walks to the map that holds the last step of a path.
fn at_path(
    here: &mut Dynamic,
    name: &str,
    rest: &[String],
    make: bool,
    act: impl FnOnce(&mut Map, &str),
) -> Result<(), String> {
    if here.is_unit() && make {
        *here = Dynamic::from_map(Map::new());
    }
    let found = here.type_name();
    let Some(mut map) = here.write_lock::<Map>() else { return Err(format!("{name} is no map but {found}")) };
    match rest {
        [] => Ok(()),
        [last] => {
            act(&mut map, last);
            Ok(())
        }
        [next, after @ ..] => at_path(map.entry(next.as_str().into()).or_insert(Dynamic::UNIT), next, after, make, act),
    }
}
