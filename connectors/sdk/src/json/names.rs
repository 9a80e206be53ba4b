//! Names of fields: the same few come again in every record. Those are kept for the life of the process, which makes a name a
//! pointer that nobody counts, and tells at once whether a map has a name twice. How many there are is bounded: what does
//! not fit is a slice of its record, as every text is.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::Text;

/// The most names that are kept …
const MOST: usize = 2048;
/// … and how long one may be.
const LONGEST: usize = 64;

/// So many fields are made room for in advance, at the most.
const MOST_FIELDS: usize = 64;

/// All names that are kept.
static KEPT: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
static FULL: AtomicBool = AtomicBool::new(false);

/// The kept name, which is kept from now on if there is room.
fn keep(name: &str) -> Option<&'static str> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    if let Some(known) = kept.get(name) {
        return Some(*known);
    }
    if kept.len() >= MOST {
        FULL.store(true, Ordering::Relaxed);
        return None;
    }
    let name: &'static str = Box::leak(name.into());
    kept.insert(name);
    Some(name)
}

/// A name as it is best held by what lives long, such as a schema: kept if there is room.
#[must_use]
pub fn lasting_name(name: &str) -> Text {
    let kept = if name.len() <= LONGEST { keep(name) } else { None };
    kept.map_or_else(|| Text::from(name), lasting)
}

/// A kept name as text: short ones are copied, which is cheaper than what else may stand behind a text.
fn lasting(name: &'static str) -> Text {
    if name.len() <= Text::SHORT { Text::from(name) } else { Text::from_static(name) }
}

/// A kept name, and what this thread has learnt of it.
struct Name {
    text: Text,
    /// The one that came after it the last time
    next: usize,
    /// The level that had it last
    level: u64,
    /// How many fields a level that begins with it had the last time
    fields: usize,
}

/// What a thread knows of names.
#[derive(Default)]
pub(super) struct Names {
    known: Vec<Name>,
    places: HashMap<&'static str, usize>,
    level: u64,
    /// The first name of the last level
    start: usize,
}

thread_local! {
    static NAMES: RefCell<Names> = RefCell::default();
}

/// Runs `with` for one level. Levels are not opened within each other.
pub(super) fn level<T>(with: impl FnOnce(&mut Level<'_>) -> T) -> T {
    NAMES.with_borrow_mut(|names| {
        names.level += 1;
        with(&mut Level { names, first: None, before: None })
    })
}

/// The names of one level.
pub(super) struct Level<'a> {
    names: &'a mut Names,
    first: Option<usize>,
    before: Option<usize>,
}

/// A name of the level.
pub(super) enum Found {
    /// Kept, and the first of its level
    New(Text),
    /// Kept, and its level has it already
    Again(Text),
    /// Not kept
    Unknown,
}

impl Level<'_> {
    fn guess(&self) -> usize {
        self.before.map_or(self.names.start, |before| self.names.known[before].next)
    }

    /// The next name.
    pub(super) fn find(&mut self, name: &[u8]) -> Found {
        let guess = self.guess();
        let place = match self.names.known.get(guess) {
            Some(known) if known.text.as_bytes() == name => guess,
            _ => match self.look_up(name) {
                Some(place) => place,
                None => return Found::Unknown,
            },
        };
        self.enter(place)
    }

    #[inline]
    fn enter(&mut self, place: usize) -> Found {
        if self.first.is_none() {
            self.first = Some(place);
            self.names.start = place;
        }
        self.before = Some(place);
        let known = &mut self.names.known[place];
        if known.level == self.names.level {
            return Found::Again(known.text.clone());
        }
        known.level = self.names.level;
        Found::New(known.text.clone())
    }

    fn look_up(&mut self, name: &[u8]) -> Option<usize> {
        if name.len() > LONGEST {
            return None;
        }
        let name = std::str::from_utf8(name).ok()?;
        let place = match self.names.places.get(name) {
            Some(place) => *place,
            None if FULL.load(Ordering::Relaxed) => return None,
            None => {
                let text = keep(name)?;
                let place = self.names.known.len();
                self.names.known.push(Name { text: lasting(text), next: usize::MAX, level: 0, fields: 0 });
                self.names.places.insert(text, place);
                place
            }
        };
        if let Some(before) = self.before {
            self.names.known[before].next = place;
        }
        Some(place)
    }

    /// How many fields there probably are, once the first name is known.
    pub(super) fn usual_fields(&self) -> usize {
        self.first.map_or(0, |first| self.names.known[first].fields)
    }

    /// So many fields there were.
    pub(super) fn learn(&mut self, fields: usize) {
        if let Some(first) = self.first {
            self.names.known[first].fields = fields.min(MOST_FIELDS);
        }
    }
}
