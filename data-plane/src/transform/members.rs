//! The members of a map without a schema, while transforms change them.

use millrace_sdk::{Result, Text, Value};

use super::data::{Fields, position, put};

/// The members of a map, as a transform changes them: those of an opened map at once ([`Fields`]), those of all maps of one
/// layout by a plan ([`super::plan::Draft`]). Values that differ from map to map have a number of their transform's own, by which
/// [`super::Kind::edited_value`] makes them when the plan is carried out.
pub(crate) trait Members {
    /// Whether there is such a member.
    fn contains(&self, name: &str) -> bool;

    /// Changes a member's value where it is. As in Connect, a member that is not there is null from now on.
    fn update(&mut self, name: &Text, number: usize, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<()>;

    /// Sets a member, at its place when there is one, else at the end; no value leaves it as it is.
    fn put(&mut self, name: &Text, number: usize, value: impl FnOnce() -> Result<Option<Value>>) -> Result<()>;

    /// As `put`, for a value that is the same in all maps.
    fn put_fixed(&mut self, name: &Text, value: Value);

    /// Leaves members out.
    fn retain(&mut self, keeps: impl Fn(&str) -> bool);

    /// Gives new names to members.
    fn rename<'a>(&mut self, new_name: impl Fn(&str) -> Option<&'a Text>);

    /// Of members with the same name the last one's value counts, in the place of the first one.
    fn merge(&mut self);
}

impl Members for Fields {
    fn contains(&self, name: &str) -> bool {
        position(self, name).is_some()
    }

    fn update(&mut self, name: &Text, _: usize, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<()> {
        match position(self, name) {
            Some(place) => change(&mut self[place].1)?,
            None => self.push((name.clone(), Value::Null)),
        }
        Ok(())
    }

    fn put(&mut self, name: &Text, _: usize, value: impl FnOnce() -> Result<Option<Value>>) -> Result<()> {
        if let Some(value) = value()? {
            put(self, name, value);
        }
        Ok(())
    }

    fn put_fixed(&mut self, name: &Text, value: Value) {
        put(self, name, value);
    }

    fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        Vec::retain(self, |(name, _)| keeps(name));
    }

    fn rename<'a>(&mut self, new_name: impl Fn(&str) -> Option<&'a Text>) {
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
