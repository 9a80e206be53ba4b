//! Changing maps without a schema in their text. Most records of a topic have the same members in the same order, and what
//! most transforms do to a map follows from the names of its members alone. So it is planned once for each such layout: which parts of
//! the text are copied as they stand, what stands between them, and which values are to be made.

use std::ops::Range;

use millrace_sdk::json::{self, Layout, Member};
use millrace_sdk::{Bytes, Record, Result, Text, Value};

use super::Site;
use super::chain::Stage;
use super::members::Members;

/// What became of a map.
pub(crate) enum Edited {
    /// JSON, which was appended to a buffer
    Text(Range<usize>),
    /// There are values in it that JSON has no types for
    Value(Value),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
enum Source {
    /// The member of the text with this number
    Found(usize),
    /// The value that this step makes
    Made(usize),
    /// The same in all maps
    Fixed(Value),
}

/// A value that a transform makes.
#[derive(Debug)]
struct Step {
    /// The transform's place in the chain
    stage: usize,
    /// The value's number among those of the transform
    number: usize,
    /// What it is made of
    of: Option<Source>,
}

/// A map of one layout, while it is planned what becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    members: Vec<(Text, Source)>,
    steps: Vec<Step>,
    stage: usize,
}

impl Draft {
    fn position(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|(known, _)| **known == *name)
    }

    fn step(&mut self, number: usize, of: Option<Source>) -> Source {
        self.steps.push(Step { stage: self.stage, number, of });
        Source::Made(self.steps.len() - 1)
    }

    fn set(&mut self, name: &Text, value: Source) {
        match self.position(name) {
            Some(place) => self.members[place].1 = value,
            None => self.members.push((name.clone(), value)),
        }
    }
}

impl Members for Draft {
    fn contains(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    fn update(&mut self, name: &Text, number: usize, _: impl FnOnce(&mut Value) -> Result<()>) -> Result<()> {
        match self.position(name) {
            Some(place) => {
                let old = self.members[place].1.clone();
                self.members[place].1 = self.step(number, Some(old));
            }
            None => self.members.push((name.clone(), Source::Fixed(Value::Null))),
        }
        Ok(())
    }

    fn put(&mut self, name: &Text, number: usize, _: impl FnOnce() -> Result<Option<Value>>) -> Result<()> {
        let value = self.step(number, None);
        self.set(name, value);
        Ok(())
    }

    fn put_fixed(&mut self, name: &Text, value: Value) {
        self.set(name, Source::Fixed(value));
    }

    fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        self.members.retain(|(name, _)| keeps(name));
    }

    fn rename<'a>(&mut self, new_name: impl Fn(&str) -> Option<&'a Text>) {
        for (name, _) in &mut self.members {
            if let Some(new) = new_name(name) {
                *name = new.clone();
            }
        }
    }

    fn merge(&mut self) {
        let mut merged: Vec<(Text, Source)> = Vec::with_capacity(self.members.len());
        for (name, value) in self.members.drain(..) {
            match merged.iter_mut().find(|(known, _)| *known == name) {
                Some((_, earlier)) => *earlier = value,
                None => merged.push((name, value)),
            }
        }
        self.members = merged;
    }
}

/// A piece of the text that is written.
#[derive(Debug)]
enum Piece {
    /// The same in all maps
    Fixed(Box<str>),
    /// Members that follow each other in the text, with what stands between them
    Members(usize, usize),
    /// The value of a member, as it stands
    Value(usize),
    /// The value that this step makes
    Made(usize),
}

/// What becomes of maps of one layout.
#[derive(Debug)]
struct Plan {
    layout: Layout,
    /// By which a layout is mostly told from others
    mark: u64,
    steps: Vec<Step>,
    members: Vec<(Text, Source)>,
    pieces: Vec<Piece>,
}

impl Plan {
    fn new(layout: Layout, mark: u64, draft: Draft) -> Result<Self> {
        let Draft { members, steps, .. } = draft;
        let names: Vec<&str> = layout.names().collect();
        // The number in the text of a member that is as it stands there
        let untouched = |place: usize| match members.get(place) {
            Some((name, Source::Found(found))) if names[*found] == &**name => Some(*found),
            _ => None,
        };
        let mut pieces = Vec::new();
        let mut fixed = b"{".to_vec();
        let flush = |fixed: &mut Vec<u8>, pieces: &mut Vec<Piece>| {
            if !fixed.is_empty() {
                // What was written there is JSON.
                let text = String::from_utf8_lossy(&std::mem::take(fixed)).into();
                pieces.push(Piece::Fixed(text));
            }
        };
        let mut place = 0;
        while let Some((name, source)) = members.get(place) {
            if place > 0 {
                fixed.push(b',');
            }
            let piece = if let Some(first) = untouched(place) {
                let mut last = first;
                while untouched(place + 1) == Some(last + 1) {
                    (place, last) = (place + 1, last + 1);
                }
                Some(Piece::Members(first, last))
            } else {
                json::write_text(name, &mut fixed);
                fixed.push(b':');
                match source {
                    Source::Found(found) => Some(Piece::Value(*found)),
                    Source::Made(step) => Some(Piece::Made(*step)),
                    Source::Fixed(value) => {
                        json::write(value, &mut fixed)?;
                        None
                    }
                }
            };
            if let Some(piece) = piece {
                flush(&mut fixed, &mut pieces);
                pieces.push(piece);
            }
            place += 1;
        }
        fixed.push(b'}');
        flush(&mut fixed, &mut pieces);
        Ok(Self { layout, mark, steps, members, pieces })
    }
}

/// The most layouts that have a plan.
const MOST: usize = 64;
/// So many maps without a plan mean that it is now other layouts that come.
const PATIENCE: usize = 4096;

/// The plans of a chain. Their room is used again from record to record.
#[derive(Default)]
pub(super) struct Plans {
    plans: Vec<Plan>,
    /// The last one used
    last: usize,
    /// Maps since all plans were made that had none
    strangers: usize,
    found: Vec<Member>,
    /// What the steps have made
    made: Vec<Value>,
}

impl Plans {
    /// Changes the text of a map, which is checked, as the stages say; the new text is appended to `out`. None when it is not
    /// a map that has a plan, or something fails.
    pub(super) fn edit(
        &mut self,
        stages: &mut [Stage],
        json: &Bytes,
        record: &Record,
        site: &Site<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Edited> {
        let plan = self.find(stages, json, record, site)?;
        let start = out.len();
        let edited = self.carry_out(plan, stages, json, record, site, out);
        // What was made holds the batch's buffer.
        self.made.clear();
        edited.inspect_err(|_| out.truncate(start)).ok()
    }

    fn find(&mut self, stages: &mut [Stage], json: &Bytes, record: &Record, site: &Site<'_>) -> Option<usize> {
        if self.plans.get(self.last).is_some_and(|plan| plan.layout.find(json, &mut self.found)) {
            return Some(self.last);
        }
        if !json::members(json, &mut self.found) {
            return None;
        }
        let mark = mark(json, &self.found);
        let is_it = |plan: &Plan| plan.mark == mark && plan.layout.is_of(json, &self.found);
        if let Some(place) = self.plans.iter().position(is_it) {
            self.last = place;
            return Some(place);
        }
        if self.plans.len() == MOST {
            self.strangers += 1;
            if self.strangers < PATIENCE {
                return None;
            }
            (self.strangers, self.plans) = (0, Vec::new());
        }
        let layout = Layout::of(json, &self.found);
        let found = |(found, name): (usize, &str)| (json::lasting_name(name), Source::Found(found));
        let mut draft = Draft { members: layout.names().enumerate().map(found).collect(), ..Draft::default() };
        for (place, stage) in stages.iter_mut().enumerate() {
            draft.stage = place;
            stage.transform.plan_edit(&mut draft, record, site).ok()?;
        }
        self.plans.push(Plan::new(layout, mark, draft).ok()?);
        self.last = self.plans.len() - 1;
        Some(self.last)
    }

    fn carry_out(
        &mut self,
        plan: usize,
        stages: &mut [Stage],
        json: &Bytes,
        record: &Record,
        site: &Site<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Edited> {
        let Self { plans, found, made, .. } = self;
        let plan = &plans[plan];
        let read = |source: &Source, made: &[Value], to: &mut Value| {
            match source {
                Source::Found(member) => json::read_member(json, found[*member].value(), to)?,
                Source::Made(step) => to.clone_from(&made[*step]),
                Source::Fixed(value) => to.clone_from(value),
            }
            Ok(())
        };
        made.resize_with(plan.steps.len(), || Value::Null);
        for (place, step) in plan.steps.iter().enumerate() {
            let (before, rest) = made.split_at_mut(place);
            if let Some(source) = &step.of {
                read(source, before, &mut rest[0])?;
            }
            stages[step.stage].transform.edited_value(step.number, &mut rest[0], record, site)?;
        }
        if !made.iter().all(has_json_type) {
            let member = |(name, source): &(Text, Source)| {
                let mut value = Value::Null;
                read(source, made, &mut value).map(|()| (name.clone(), value))
            };
            return Ok(Edited::Value(Value::Map(plan.members.iter().map(member).collect::<Result<_>>()?)));
        }
        let start = out.len();
        for piece in &plan.pieces {
            match piece {
                Piece::Fixed(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Members(first, last) => {
                    out.extend_from_slice(&json[found[*first].whole().start..found[*last].whole().end]);
                }
                Piece::Value(member) => out.extend_from_slice(&json[found[*member].value()]),
                Piece::Made(step) => json::write(&made[*step], out)?,
            }
        }
        Ok(Edited::Text(start..out.len()))
    }
}

/// Tells layouts from each other, mostly.
fn mark(text: &[u8], found: &[Member]) -> u64 {
    let of_name = |name: &[u8]| {
        [name.len() as u64, name.first().copied().unwrap_or(0).into(), name.last().copied().unwrap_or(0).into()]
    };
    let numbers = found.iter().flat_map(|member| of_name(member.name(text).as_bytes()));
    numbers.fold(found.len() as u64, |mark, number| mark.wrapping_mul(0x0100_0000_01b3) ^ number)
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
