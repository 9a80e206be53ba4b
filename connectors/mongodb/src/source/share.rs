//! Which namespaces a task reads, and where it goes on when tasks are planned anew: positions are kept per share, and a new
//! share finds for each of its namespaces the newest position of any old share that had it.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{Bson, Document, doc};
use serde::{Deserialize, Serialize};

/// Namespaces (`database.collection`) of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Share {
    /// All that is in scope
    #[default]
    All,
    /// These
    Only(BTreeSet<String>),
    /// All that is in scope but these, those to come included
    Except(BTreeSet<String>),
}

impl Share {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Ok(Self::All),
            text => serde_json::from_str(text).map_err(|error| format!("not a share of namespaces: {error}")),
        }
    }

    /// The text that [`Share::parse`] reads; empty for all.
    pub(super) fn text(&self) -> String {
        match self {
            Self::All => String::new(),
            other => serde_json::to_string(other).unwrap_or_default(),
        }
    }

    pub(super) fn covers(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(namespace),
            Self::Except(names) => !names.contains(namespace),
        }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        match self {
            Self::All => None,
            Self::Only(names) | Self::Except(names) => Some(names),
        }
        .into_iter()
        .flatten()
    }

    /// The stage that keeps the events of this share.
    pub(super) fn stage(&self) -> Option<Document> {
        let mut by_database: BTreeMap<&str, Vec<Bson>> = BTreeMap::new();
        for (database, collection) in self.names().filter_map(|name| name.split_once('.')) {
            by_database.entry(database).or_default().push(collection.into());
        }
        let each = by_database
            .into_iter()
            .map(|(database, collections)| doc! { "ns.db": database, "ns.coll": { "$in": collections } });
        let each: Vec<Document> = each.collect();
        match self {
            Self::All => None,
            // Nothing is everything but nothing.
            Self::Except(_) if each.is_empty() => None,
            Self::Except(_) => Some(doc! { "$match": { "$nor": each } }),
            Self::Only(_) => Some(doc! { "$match": { "$or": each } }),
        }
    }
}

/// Deals `namespaces` with their sizes out to at most `tasks` shares, the first of which is that of everything else, so that
/// what is created later is read, too. The largest come first, each to the share with the least.
pub(super) fn deal(mut namespaces: Vec<(String, u64)>, tasks: usize) -> Vec<Share> {
    let shares = tasks.min(namespaces.len().min(MOST_NAMED)).max(1);
    if shares == 1 {
        return vec![Share::All];
    }
    namespaces.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut loads = vec![0_u64; shares];
    let mut named: Vec<BTreeSet<String>> = vec![BTreeSet::new(); shares];
    for (position, (name, size)) in namespaces.into_iter().enumerate() {
        // The names of a share are part of its positions, so there is a limit; the small ones beyond it stay with the rest.
        let share = if position >= MOST_NAMED { 0 } else { lightest(&loads) };
        loads[share] = loads[share].saturating_add(size.max(1));
        if share > 0 {
            named[share].insert(name);
        }
    }
    let others = named[1..].iter().flatten().cloned().collect();
    let mut dealt = vec![Share::Except(others)];
    dealt.extend(named.into_iter().skip(1).map(Share::Only));
    dealt
}

/// Collections that are dealt out by name.
const MOST_NAMED: usize = 500;

/// The least loaded; of equal ones the last, so that the share of everything else is served last.
fn lightest(loads: &[u64]) -> usize {
    let mut best = loads.len() - 1;
    for (index, load) in loads.iter().enumerate().rev() {
        if *load < loads[best] {
            best = index;
        }
    }
    best
}

/// Where a share goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resume<T> {
    /// The oldest position of its namespaces; None when none has one
    pub(super) after: Option<T>,
    /// The newest; up to there an event may be one that was published
    pub(super) until: Option<T>,
    /// How far each of the namespaces was read that some share names
    named: BTreeMap<String, Option<T>>,
    /// How far all others were read
    others: Option<T>,
    takes_others: bool,
}

/// Finds where `mine` goes on from the positions of shares.
pub(super) fn resume<T: Ord + Clone>(stored: &[(Share, T)], mine: &Share) -> Resume<T> {
    let newest = |covered: &dyn Fn(&Share) -> bool| {
        stored.iter().filter(|(share, _)| covered(share)).map(|(_, position)| position.clone()).max()
    };
    let names: BTreeSet<&String> = stored.iter().flat_map(|(share, _)| share.names()).chain(mine.names()).collect();
    let named: BTreeMap<String, Option<T>> = names
        .into_iter()
        .filter(|name| mine.covers(name))
        .map(|name| (name.clone(), newest(&|share| share.covers(name))))
        .collect();
    let takes_others = |share: &Share| !matches!(share, Share::Only(_));
    let others = if takes_others(mine) { newest(&takes_others) } else { None };
    let known = || named.values().chain([&others]).flatten();
    Resume {
        after: known().min().cloned(),
        until: known().max().cloned(),
        takes_others: takes_others(mine),
        named: named.clone(),
        others: others.clone(),
    }
}

impl<T: Ord> Resume<T> {
    /// Whether an event was published by an older share.
    pub(super) fn is_old(&self, namespace: &str, position: &T) -> bool {
        let newest = self.named.get(namespace).unwrap_or(&self.others);
        newest.as_ref().is_some_and(|newest| position <= newest)
    }

    /// Whether a namespace has no position though others have one: it was never read.
    pub(super) fn is_missing(&self, namespace: &str) -> bool {
        self.after.is_some() && self.named.get(namespace).unwrap_or(&self.others).is_none()
    }

    /// Nothing was read.
    pub(super) fn forget(&mut self) {
        (self.after, self.until, self.others) = (None, None, None);
        self.named.clear();
    }

    /// Whether any namespace may be missing.
    pub(super) fn has_missing(&self) -> bool {
        self.after.is_some()
            && (self.named.values().any(Option::is_none) || (self.takes_others && self.others.is_none()))
    }
}

#[cfg(test)]
mod tests;
