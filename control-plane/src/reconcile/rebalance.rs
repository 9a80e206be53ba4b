//! Gentle moves towards equal loads: from a worker that has at least two tasks more than the emptiest one that could take
//! the task, one task of a connector at a time, and only while nothing else is stopping. Pure.

use std::collections::HashMap;

use super::plan::{Fate, Planner};

/// A worker is relieved when it has this many tasks more than another.
const DIFFERENCE: u32 = 2;

/// Revokes what should move; what this plan has just placed is placed elsewhere instead, which costs nothing.
pub(super) fn rebalance(planner: &mut Planner<'_>) {
    let mut moved = vec![false; planner.tasks.last().map_or(0, |task| task.connector + 1)];
    loop {
        let mut changed = false;
        let mut first = 0;
        while first < planner.tasks.len() {
            let connector = planner.tasks[first].connector;
            let end = first + planner.tasks[first..].partition_point(|task| task.connector == connector);
            changed |= relieve(planner, first..end, &mut moved[connector]);
            first = end;
        }
        // Every move makes loads more equal, so this ends.
        if !changed {
            return;
        }
    }
}

fn relieve(planner: &mut Planner<'_>, tasks: std::ops::Range<usize>, moved: &mut bool) -> bool {
    let class = planner.class(planner.tasks[tasks.start].connector);
    let Some(emptiest) = planner.fleet.best(class, &HashMap::new()) else { return false };
    let least = planner.fleet.load(emptiest);
    let mut worst: Option<(u32, usize, usize)> = None;
    let mut own: HashMap<usize, u32> = HashMap::new();
    for index in tasks {
        let task = &planner.tasks[index];
        let worker = task.after.as_ref().and_then(|placement| placement.worker.as_deref());
        let Some(number) = worker.and_then(|worker| planner.fleet.number(worker)) else { continue };
        *own.entry(number).or_default() += 1;
        let may_go = task.fate == Fate::Placed || (task.fate == Fate::Movable && !*moved);
        let load = planner.fleet.load(number);
        if may_go && load >= least + DIFFERENCE && worst.is_none_or(|(worst, _, _)| load >= worst) {
            worst = Some((load, index, number));
        }
    }
    let Some((_, index, from)) = worst else { return false };
    let Some(to) = planner.fleet.best(class, &own) else { return false };
    let name = planner.fleet.id(to).to_owned();
    let task = &mut planner.tasks[index];
    let Some(placement) = task.after.as_mut() else { return false };
    if task.fate == Fate::Placed {
        placement.worker = Some(name);
        planner.fleet.remove(from);
    } else {
        placement.revoking = true;
        task.fate = Fate::Changes;
        *moved = true;
        planner.fleet.announce_leave(from);
    }
    // Where it is expected to go, so that the next one goes elsewhere.
    planner.fleet.add(to);
    true
}
