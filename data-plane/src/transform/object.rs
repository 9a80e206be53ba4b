//! Maps without a schema while transforms change them: opened ones ([`Fields`]), and those that are still JSON ([`Object`]).
//!
//! Most transforms touch few members of a map. An [`Object`] notes where the members stand in the text, which costs a
//! fraction of opening them; what is not touched is copied as it stands.

use std::ops::Range;

use millrace_sdk::json::{self, Member};
use millrace_sdk::{ByteString, Bytes, Result, Value};

use super::data::{Fields, position, put};

/// The members of a map, as a transform changes them.
pub(crate) trait Members {
    /// The place of a member.
    fn position(&self, name: &str) -> Option<usize>;

    /// The value of a member, its own level opened; it is to be set anew.
    fn take(&mut self, place: usize) -> Result<Value>;

    /// Sets a member's value.
    fn set(&mut self, place: usize, value: Value);

    /// Sets a member, at its place when there is one, else at the end.
    fn put(&mut self, name: &ByteString, value: Value);

    /// Leaves members out.
    fn retain(&mut self, keeps: impl Fn(&str) -> bool);

    /// Gives new names to members.
    fn rename<'a>(&mut self, new_name: impl Fn(&str) -> Option<&'a ByteString>);

    /// Of members with the same name the last one's value counts, in the place of the first one.
    fn merge(&mut self);

    /// Replaces a member's value by what is made of it. As in Connect, a member that is not there is null from now on.
    fn update(&mut self, name: &ByteString, new: impl FnOnce(Value) -> Result<Value>) -> Result<()> {
        match self.position(name) {
            Some(place) => {
                let value = new(self.take(place)?)?;
                self.set(place, value);
            }
            None => self.put(name, Value::Null),
        }
        Ok(())
    }
}

impl Members for Fields {
    fn position(&self, name: &str) -> Option<usize> {
        position(self, name)
    }

    fn take(&mut self, place: usize) -> Result<Value> {
        Ok(std::mem::replace(&mut self[place].1, Value::Null))
    }

    fn set(&mut self, place: usize, value: Value) {
        self[place].1 = value;
    }

    fn put(&mut self, name: &ByteString, value: Value) {
        put(self, name, value);
    }

    fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        Vec::retain(self, |(name, _)| keeps(name));
    }

    fn rename<'a>(&mut self, new_name: impl Fn(&str) -> Option<&'a ByteString>) {
        for (name, _) in self {
            if let Some(new) = new_name(name) {
                *name = new.clone();
            }
        }
    }

    fn merge(&mut self) {
        let mut merged = Vec::with_capacity(self.len());
        for (name, value) in self.drain(..) {
            put(&mut merged, &name, value);
        }
        *self = merged;
    }
}

/// A member of an object, by its numbers in the object's lists.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Where it stands in the text; None for what was added, which has a name and a value
    found: Option<usize>,
    /// Its new name
    name: Option<usize>,
    /// Its new value
    value: Option<usize>,
    /// What its present name begins, ends and how long it is: most names differ in that
    mark: u32,
}

#[allow(clippy::cast_possible_truncation)] // a mark of the length does
fn mark(name: &str) -> u32 {
    let ends = [name.as_bytes().first(), name.as_bytes().last()].map(|byte| u32::from(byte.copied().unwrap_or(0)));
    (name.len() as u32) << 16 | ends[0] << 8 | ends[1]
}

/// A map in JSON and what is changed in it. Its room is used again from record to record.
#[derive(Debug, Default)]
pub(crate) struct Object {
    text: Bytes,
    /// The members as they stand in the text
    found: Vec<Member>,
    /// The members as they are now
    slots: Vec<Slot>,
    names: Vec<ByteString>,
    values: Vec<Value>,
}

/// What became of an object.
pub(crate) enum Edited {
    /// JSON, which was appended to a buffer
    Text(Range<usize>),
    /// There are values in it that JSON has no types for
    Value(Value),
}

impl Object {
    /// Begins with the text of a map, which is checked. False when it is not one whose members are easily told apart.
    pub(super) fn begin(&mut self, text: &Bytes) -> bool {
        self.slots.clear();
        if !json::members(text, &mut self.found) {
            return false;
        }
        self.text = text.clone();
        let slot = |(found, member): (usize, &Member)| Slot {
            found: Some(found),
            name: None,
            value: None,
            mark: mark(member.name(text)),
        };
        self.slots.extend(self.found.iter().enumerate().map(slot));
        true
    }

    /// The map as it is now: its text is appended to `out`, unless there are values in it that JSON has no types for.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<Edited> {
        let edited = if self.values.iter().all(has_json_type) {
            let start = out.len();
            self.write(out)?;
            Edited::Text(start..out.len())
        } else {
            let named = |slot: &Slot| Ok((self.owned_name(*slot)?, self.value(*slot)?));
            Edited::Value(Value::Map(self.slots.iter().map(named).collect::<Result<_>>()?))
        };
        Ok(edited)
    }

    /// Lets go of the text and of what was made of it, which would keep the buffer of its batch.
    pub(super) fn end(&mut self) {
        self.text = Bytes::new();
        self.names.clear();
        self.values.clear();
    }

    fn name(&self, slot: Slot) -> &str {
        match (slot.name, slot.found) {
            (Some(name), _) => &self.names[name],
            (None, Some(found)) => self.found[found].name(&self.text),
            (None, None) => "",
        }
    }

    fn owned_name(&self, slot: Slot) -> Result<ByteString> {
        Ok(match (slot.name, slot.found) {
            (Some(name), _) => self.names[name].clone(),
            (None, Some(found)) => self.found[found].owned_name(&self.text)?,
            (None, None) => ByteString::new(),
        })
    }

    fn value(&self, slot: Slot) -> Result<Value> {
        match (slot.value, slot.found) {
            (Some(value), _) => Ok(self.values[value].clone()),
            (None, Some(found)) => json::parse_member(&self.text, self.found[found].value()),
            (None, None) => Ok(Value::Null),
        }
    }

    /// The number in the text of a member that still is as it stands there.
    fn untouched(&self, slot: Slot) -> Option<usize> {
        slot.found.filter(|_| slot.name.is_none() && slot.value.is_none())
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'{');
        let mut place = 0;
        while let Some(slot) = self.slots.get(place).copied() {
            if place > 0 {
                out.push(b',');
            }
            place += 1;
            if let Some(first) = self.untouched(slot) {
                // Members that follow each other in the text are copied together, with what stands between them.
                let mut last = first;
                while self.slots.get(place).is_some_and(|next| self.untouched(*next) == Some(last + 1)) {
                    (place, last) = (place + 1, last + 1);
                }
                out.extend_from_slice(&self.text[self.found[first].whole().start..self.found[last].whole().end]);
                continue;
            }
            json::write_text(self.name(slot), out);
            out.push(b':');
            match (slot.value, slot.found) {
                (Some(value), _) => json::write(&self.values[value], out)?,
                (None, Some(found)) => out.extend_from_slice(&self.text[self.found[found].value()]),
                (None, None) => out.extend_from_slice(b"null"),
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn keep_name(&mut self, name: &ByteString) -> Option<usize> {
        self.names.push(name.clone());
        Some(self.names.len() - 1)
    }
}

/// Whether its text in JSON says all about a value.
fn has_json_type(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Str(_) | Value::Json(_) => true,
        Value::Float(number) => number.is_finite(),
        Value::List(items) => items.iter().all(has_json_type),
        Value::Map(fields) => fields.iter().all(|(_, value)| has_json_type(value)),
        _ => false,
    }
}

impl Members for Object {
    fn position(&self, name: &str) -> Option<usize> {
        let mark = mark(name);
        self.slots.iter().position(|slot| slot.mark == mark && self.name(*slot) == name)
    }

    fn take(&mut self, place: usize) -> Result<Value> {
        self.value(self.slots[place])
    }

    fn set(&mut self, place: usize, value: Value) {
        self.values.push(value);
        self.slots[place].value = Some(self.values.len() - 1);
    }

    fn put(&mut self, name: &ByteString, value: Value) {
        match self.position(name) {
            Some(place) => self.set(place, value),
            None => {
                let mark = mark(name);
                let name = self.keep_name(name);
                self.slots.push(Slot { found: None, name, value: None, mark });
                self.set(self.slots.len() - 1, value);
            }
        }
    }

    fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        let mut slots = std::mem::take(&mut self.slots);
        slots.retain(|slot| keeps(self.name(*slot)));
        self.slots = slots;
    }

    fn rename<'a>(&mut self, new_name: impl Fn(&str) -> Option<&'a ByteString>) {
        for place in 0..self.slots.len() {
            if let Some(name) = new_name(self.name(self.slots[place])) {
                (self.slots[place].mark, self.slots[place].name) = (mark(name), self.keep_name(name));
            }
        }
    }

    fn merge(&mut self) {
        let mut merged: Vec<Slot> = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            match merged.iter().position(|earlier| self.name(*earlier) == self.name(*slot)) {
                Some(place) => {
                    // The name is the same; the text's own name says where the value stands.
                    merged[place] = Slot { name: slot.name.or(merged[place].name), ..*slot };
                }
                None => merged.push(*slot),
            }
        }
        self.slots = merged;
    }
}
