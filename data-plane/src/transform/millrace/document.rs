//! A record's key or value as expressions see it: a map whose fields are turned into the language's values when they are
//! asked for, and which knows what was changed.

use std::sync::Arc;

use millrace_sdk::{Result, Text, Value};
use rhai::{Array, Blob, Dynamic, Map};

use super::super::data::{Fields, Side};
use super::values::{from_dynamic, to_dynamic};

/// A field: as it was, and what an expression made of it.
#[derive(Debug, Clone)]
struct Slot {
    name: Text,
    before: Option<Value>,
    after: Option<Dynamic>,
}

/// How much values hold, with everything within.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) elements: usize,
    /// Of text and blobs
    pub(super) bytes: usize,
}

impl Size {
    fn of(value: &Dynamic) -> Self {
        let mut size = Self::default();
        if let Ok(text) = value.as_immutable_string_ref() {
            size.bytes = text.len();
        } else if let Some(bytes) = value.read_lock::<Blob>() {
            size.bytes = bytes.len();
        } else if let Some(items) = value.read_lock::<Array>() {
            size.elements = items.len();
            items.iter().for_each(|item| size.add(item));
        } else if let Some(map) = value.read_lock::<Map>() {
            size.elements = map.len();
            map.values().for_each(|item| size.add(item));
        }
        size
    }

    fn add(&mut self, value: &Dynamic) {
        let more = Self::of(value);
        self.elements = self.elements.saturating_add(more.elements);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }

    fn take(&mut self, value: &Dynamic) {
        let less = Self::of(value);
        self.elements = self.elements.saturating_sub(less.elements);
        self.bytes = self.bytes.saturating_sub(less.bytes);
    }
}

/// The fields, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Document {
    /// Shared among copies until one of them is changed
    slots: Arc<Vec<Slot>>,
    /// What scripts put in
    held: Size,
    /// What it is, as long as it is unchanged
    unchanged: Option<Side>,
}

impl Document {
    /// The fields of a key or a value.
    pub(super) fn new(fields: Fields, side: Side) -> Self {
        let slot = |(name, value)| Slot { name, before: Some(value), after: None };
        let slots = Arc::new(fields.into_iter().map(slot).collect());
        Self { slots, held: Size::default(), unchanged: Some(side) }
    }

    /// What a script made.
    pub(super) fn made(map: Map) -> Self {
        let slot = |(name, value): (_, Dynamic)| Slot { name: text(&name), before: None, after: Some(value) };
        Self { slots: Arc::new(map.into_iter().map(slot).collect()), held: Size::default(), unchanged: None }
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
        self.held.add(&value);
        let index = self.position(name);
        let slots = Arc::make_mut(&mut self.slots);
        match index {
            Some(index) => {
                if let Some(old) = slots[index].after.replace(value) {
                    self.held.take(&old);
                }
            }
            None => {
                self.held.elements += 1;
                slots.push(Slot { name: text(&name), before: None, after: Some(value) });
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<Dynamic> {
        let Some(index) = self.position(name) else { return Ok(Dynamic::UNIT) };
        self.unchanged = None;
        Arc::make_mut(&mut self.slots).remove(index).dynamic()
    }

    /// What scripts have put in.
    pub(super) fn held(&self) -> Size {
        self.held
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
        let slots = Arc::try_unwrap(self.slots).unwrap_or_else(|shared| Vec::clone(&shared));
        slots.into_iter().map(value).collect::<Result<_, _>>().map(Value::Map)
    }
}

fn text(name: &impl AsRef<str>) -> Text {
    Text::from(name.as_ref())
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
