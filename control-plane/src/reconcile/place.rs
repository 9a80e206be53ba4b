//! Which worker takes a task: one that offers the class and has room, the least loaded, and among those the one with the
//! fewest tasks of the same connector. Pure and deterministic.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::snapshot::Versioned;
use crate::model::Worker;

/// Workers of equal load that are compared by how many tasks of the connector they have.
const COMPARED: usize = 16;

/// The live workers with their loads. Workers are numbered in the order of their ids.
pub struct Fleet<'a> {
    ids: Vec<&'a str>,
    numbers: HashMap<&'a str, usize>,
    seats: Vec<Seat>,
    /// Workers that offer the same classes stand together
    groups: Vec<BTreeSet<(u32, usize)>>,
    /// By class or alias
    offers: HashMap<&'a str, Vec<usize>>,
}

#[derive(Clone, Copy)]
struct Seat {
    group: usize,
    capacity: u32,
    load: u32,
}

impl<'a> Fleet<'a> {
    /// Without any load.
    #[must_use]
    pub fn new(workers: &'a BTreeMap<String, Versioned<Worker>>) -> Self {
        let mut fleet = Self {
            ids: Vec::new(),
            numbers: HashMap::new(),
            seats: Vec::new(),
            groups: Vec::new(),
            offers: HashMap::new(),
        };
        let mut known: HashMap<BTreeSet<&'a str>, usize> = HashMap::new();
        for (number, (id, worker)) in workers.iter().enumerate() {
            let classes: BTreeSet<&str> = worker.value.classes.iter().map(String::as_str).collect();
            let group = *known.entry(classes).or_insert_with_key(|classes| {
                let group = fleet.groups.len();
                fleet.groups.push(BTreeSet::new());
                for class in classes {
                    fleet.offers.entry(class).or_default().push(group);
                }
                group
            });
            fleet.ids.push(id);
            fleet.numbers.insert(id, number);
            fleet.seats.push(Seat { group, capacity: worker.value.capacity, load: 0 });
            if worker.value.capacity > 0 {
                fleet.groups[group].insert((0, number));
            }
        }
        fleet
    }

    /// The worker's number; None if it is not live.
    #[must_use]
    pub fn number(&self, worker: &str) -> Option<usize> {
        self.numbers.get(worker).copied()
    }

    /// Its id.
    #[must_use]
    pub fn id(&self, number: usize) -> &'a str {
        self.ids[number]
    }

    /// Tasks it has.
    #[must_use]
    pub fn load(&self, number: usize) -> u32 {
        self.seats[number].load
    }

    /// Whether it can run tasks of the class.
    #[must_use]
    pub fn offers(&self, number: usize, class: &str) -> bool {
        self.offers.get(class).is_some_and(|groups| groups.contains(&self.seats[number].group))
    }

    /// How many kinds of workers offer the class.
    #[must_use]
    pub fn choice(&self, class: &str) -> usize {
        self.offers.get(class).map_or(0, Vec::len)
    }

    /// It takes no more tasks.
    pub fn close(&mut self, number: usize) {
        let seat = &mut self.seats[number];
        seat.capacity = 0;
        self.groups[seat.group].remove(&(seat.load, number));
    }

    /// It has one task more.
    pub fn add(&mut self, number: usize) {
        self.set_load(number, self.seats[number].load + 1);
    }

    /// It has one task less.
    pub fn remove(&mut self, number: usize) {
        self.set_load(number, self.seats[number].load.saturating_sub(1));
    }

    /// It will have one task less, but the place is not free yet.
    pub fn announce_leave(&mut self, number: usize) {
        let load = self.seats[number].load;
        self.groups[self.seats[number].group].remove(&(load, number));
        self.seats[number].capacity = self.seats[number].capacity.saturating_sub(1);
        self.set_load(number, load.saturating_sub(1));
    }

    fn set_load(&mut self, number: usize, load: u32) {
        let seat = &mut self.seats[number];
        let group = &mut self.groups[seat.group];
        group.remove(&(seat.load, number));
        seat.load = load;
        if load < seat.capacity {
            group.insert((load, number));
        }
    }

    /// The best worker with room for a task of the class; `own` are the connector's tasks by worker.
    #[must_use]
    pub fn best(&self, class: &str, own: &HashMap<usize, u32>) -> Option<usize> {
        let mut best: Option<(u32, u32, usize)> = None;
        for group in self.offers.get(class)? {
            let mut least = None;
            for (load, number) in self.groups[*group].iter().take(COMPARED) {
                if *least.get_or_insert(*load) != *load {
                    break;
                }
                let candidate = (*load, own.get(number).copied().unwrap_or(0), *number);
                if best.is_none_or(|best| candidate < best) {
                    best = Some(candidate);
                }
            }
        }
        best.map(|(_, _, number)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(list: &[(&str, u32, &[&str])]) -> BTreeMap<String, Versioned<Worker>> {
        let worker = |id: &str, capacity, classes: &[&str]| Worker {
            id: id.to_owned(),
            incarnation: String::new(),
            address: String::new(),
            version: String::new(),
            labels: BTreeMap::new(),
            capacity,
            classes: classes.iter().map(|class| (*class).to_owned()).collect(),
        };
        list.iter()
            .map(|(id, capacity, classes)| {
                ((*id).to_owned(), Versioned { value: worker(id, *capacity, classes), revision: 1, created: 1 })
            })
            .collect()
    }

    fn place(fleet: &mut Fleet<'_>, class: &str, n: usize) -> Vec<String> {
        let mut own = HashMap::new();
        let mut placed = Vec::new();
        for _ in 0..n {
            let Some(number) = fleet.best(class, &own) else { break };
            fleet.add(number);
            *own.entry(number).or_default() += 1;
            placed.push(fleet.id(number).to_owned());
        }
        placed
    }

    #[test]
    fn the_least_loaded_that_offers_the_class_and_has_room() {
        let workers = workers(&[("a", 2, &["x"]), ("b", 9, &["x", "y"]), ("c", 0, &["x", "y"])]);
        let mut fleet = Fleet::new(&workers);
        assert_eq!(place(&mut fleet, "x", 5), ["a", "b", "a", "b", "b"]);
        assert_eq!(place(&mut fleet, "y", 1), ["b"]);
        assert_eq!(place(&mut fleet, "z", 1), [""; 0]);
        assert!(fleet.offers(1, "y") && !fleet.offers(0, "y"));
    }

    #[test]
    fn equal_loads_are_told_apart_by_the_connectors_own_tasks() {
        let workers = workers(&[("a", 9, &["x"]), ("b", 9, &["x"]), ("c", 9, &["x"])]);
        let mut fleet = Fleet::new(&workers);
        assert_eq!(place(&mut fleet, "x", 1), ["a"]);
        fleet.add(1);
        fleet.add(2);
        let own = HashMap::from([(0, 1)]);
        assert_eq!(fleet.best("x", &own), Some(1));
        fleet.close(1);
        assert_eq!(fleet.best("x", &own), Some(2));
        fleet.remove(0);
        assert_eq!(fleet.best("x", &own), Some(0));
        fleet.remove(1);
        assert_eq!(fleet.best("x", &own), Some(0), "closed is closed");
    }
}
