//! What happens to a task: one table over where it is, what is wanted of it, and whether its worker is there. Pure.
//!
//! ```text
//! Unassigned → Assigned → Starting → Running ⇄ Paused        Restarting: tried again by its worker, in place
//! any of these → Revoking → Stopped → Unassigned | placed with generation + 1 | deleted
//! Failed: stays until it is restarted or its configuration changes     Fenced, Ended: placed again
//! ```
//! A task is placed on another worker only from a state in which it certainly no longer runs: its worker confirmed that
//! (for the generation in question), or its worker's lease has ended.

use crate::model::{Placement, TaskState, TaskStatus};

/// Where a task is, by its placement and the newest status of that generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// On no worker
    Unassigned,
    /// On a worker which has said nothing of it yet
    Assigned,
    /// Opening
    Starting,
    /// Moving records
    Running,
    /// Holding still
    Paused,
    /// Waiting to be tried again by its worker
    Restarting,
    /// Ended with an error, and not tried again by itself
    Failed,
    /// Ended because somebody newer runs
    Fenced,
    /// Ended by its worker, unasked: the worker is shutting down
    Ended,
    /// Told to stop; not confirmed
    Revoking,
    /// Told to stop; confirmed
    Stopped,
}

/// What is wanted of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It should run, where it is if it can
    Keep,
    /// The user asked for a new start
    Restart,
    /// It should run on another worker; of a failed one, because a restart was asked for that its worker cannot do
    Move,
    /// It should not run: connector stopped or deleted, task set replaced
    Drop,
}

/// Whether the worker that the placement names is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Its session is alive
    Live,
    /// It has no session, but it is too early to say that it is dead
    Away,
    /// Its lease has ended
    Gone,
}

/// What the reconciler does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing
    Leave,
    /// On any worker, with the next generation
    Place,
    /// On the same worker, with the next generation: the worker itself stops the old one first
    StartAgain,
    /// The worker is told to stop it
    Revoke,
    /// It runs nowhere and shall not
    Release,
}

impl State {
    /// Reads the state off; a status of another generation says nothing.
    #[must_use]
    pub fn of(placement: &Placement, status: Option<&TaskStatus>) -> Self {
        if placement.worker.is_none() {
            return Self::Unassigned;
        }
        let told = status.filter(|status| status.generation == placement.generation).map(|status| status.state);
        if placement.revoking {
            return match told {
                Some(TaskState::Stopped | TaskState::Fenced | TaskState::Failed) => Self::Stopped,
                _ => Self::Revoking,
            };
        }
        match told {
            None => Self::Assigned,
            Some(TaskState::Starting) => Self::Starting,
            Some(TaskState::Running) => Self::Running,
            Some(TaskState::Paused) => Self::Paused,
            Some(TaskState::Restarting) => Self::Restarting,
            Some(TaskState::Failed) => Self::Failed,
            Some(TaskState::Fenced) => Self::Fenced,
            Some(TaskState::Stopped) => Self::Ended,
        }
    }
}

/// The table.
#[must_use]
pub fn decide(state: State, wish: Wish, presence: Presence) -> Action {
    use Presence::{Away, Gone, Live};
    use State::{
        Assigned, Ended, Failed, Fenced, Paused, Restarting, Revoking, Running, Starting, Stopped, Unassigned,
    };
    use Wish::{Drop, Keep, Move, Restart};
    match (state, wish, presence) {
        // It runs nowhere: free to start or to go.
        (Unassigned | Stopped | Fenced | Ended, Drop, Live | Away | Gone) => Action::Release,
        (Unassigned | Stopped | Fenced | Ended, Keep | Restart | Move, Live | Away | Gone) => Action::Place,

        // It failed: that stays visible until somebody does something about it.
        (Failed, Drop, Live | Away | Gone) => Action::Release,
        (Failed, Keep, Live | Away | Gone) => Action::Leave,
        (Failed, Restart, Live) => Action::StartAgain,
        (Failed, Restart, Away | Gone) | (Failed, Move, Live | Away | Gone) => Action::Place,

        // It runs, or may: nobody else may start it before it stopped or its worker is gone.
        (Assigned | Starting | Running | Paused | Restarting, Keep, Live | Away) => Action::Leave,
        (Assigned | Starting | Running | Paused | Restarting, Restart, Live) => Action::StartAgain,
        (Assigned | Starting | Running | Paused | Restarting, Move, Live) => Action::Revoke,
        (Assigned | Starting | Running | Paused | Restarting, Restart | Move, Away) => Action::Leave,
        (Assigned | Starting | Running | Paused | Restarting, Drop, Live | Away) => Action::Revoke,
        (Assigned | Starting | Running | Paused | Restarting, Keep | Restart | Move, Gone) => Action::Place,
        (Assigned | Starting | Running | Paused | Restarting, Drop, Gone) => Action::Release,

        // What was begun is finished first, even if the wish has changed meanwhile.
        (Revoking, Keep | Restart | Move | Drop, Live | Away) => Action::Leave,
        (Revoking, Keep | Restart | Move, Gone) => Action::Place,
        (Revoking, Drop, Gone) => Action::Release,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Generation;

    const STATES: [State; 11] = [
        State::Unassigned,
        State::Assigned,
        State::Starting,
        State::Running,
        State::Paused,
        State::Restarting,
        State::Failed,
        State::Fenced,
        State::Ended,
        State::Revoking,
        State::Stopped,
    ];
    const WISHES: [Wish; 4] = [Wish::Keep, Wish::Restart, Wish::Move, Wish::Drop];
    const PRESENCES: [Presence; 3] = [Presence::Live, Presence::Away, Presence::Gone];

    /// Keep, Restart, Move, Drop; each with its worker live, away, gone.
    /// `.` leave, `P` place, `S` start again, `R` revoke, `X` release
    const TABLE: [(State, &str); 11] = [
        (State::Unassigned, "PPP PPP PPP XXX"),
        (State::Assigned, "..P S.P R.P RRX"),
        (State::Starting, "..P S.P R.P RRX"),
        (State::Running, "..P S.P R.P RRX"),
        (State::Paused, "..P S.P R.P RRX"),
        (State::Restarting, "..P S.P R.P RRX"),
        (State::Failed, "... SPP PPP XXX"),
        (State::Fenced, "PPP PPP PPP XXX"),
        (State::Ended, "PPP PPP PPP XXX"),
        (State::Revoking, "..P ..P ..P ..X"),
        (State::Stopped, "PPP PPP PPP XXX"),
    ];

    #[test]
    fn every_pair_is_decided() {
        for (row, state) in STATES.into_iter().enumerate() {
            assert_eq!(TABLE[row].0, state);
            let mut decided = String::new();
            for wish in WISHES {
                for presence in PRESENCES {
                    decided.push(match decide(state, wish, presence) {
                        Action::Leave => '.',
                        Action::Place => 'P',
                        Action::StartAgain => 'S',
                        Action::Revoke => 'R',
                        Action::Release => 'X',
                    });
                }
                decided.push(' ');
            }
            assert_eq!(decided.trim_end(), TABLE[row].1, "{state:?}");
        }
    }

    #[test]
    fn nothing_that_may_run_is_placed_while_its_worker_lives() {
        let may_run =
            |state| !matches!(state, State::Unassigned | State::Stopped | State::Fenced | State::Ended | State::Failed);
        for state in STATES.into_iter().filter(|state| may_run(*state)) {
            for wish in WISHES {
                for presence in [Presence::Live, Presence::Away] {
                    let action = decide(state, wish, presence);
                    assert!(!matches!(action, Action::Place | Action::Release), "{state:?} {wish:?} {presence:?}");
                }
            }
        }
    }

    #[test]
    fn a_status_counts_for_its_generation_only() {
        let placement = |worker: Option<&str>, revoking| Placement {
            generation: Generation(7),
            worker: worker.map(str::to_owned),
            revoking,
            set_revision: 1,
            restarts: 0,
        };
        let status = |generation, state| TaskStatus {
            generation: Generation(generation),
            worker: "w".into(),
            address: String::new(),
            state,
            error_kind: String::new(),
            trace: String::new(),
            warnings: Vec::new(),
            since_ms: 0,
        };
        let cases = [
            (placement(None, false), Some(status(7, TaskState::Running)), State::Unassigned),
            (placement(Some("w"), false), None, State::Assigned),
            (placement(Some("w"), false), Some(status(6, TaskState::Running)), State::Assigned),
            (placement(Some("w"), false), Some(status(7, TaskState::Running)), State::Running),
            (placement(Some("w"), false), Some(status(7, TaskState::Stopped)), State::Ended),
            (placement(Some("w"), true), Some(status(6, TaskState::Stopped)), State::Revoking),
            (placement(Some("w"), true), Some(status(7, TaskState::Running)), State::Revoking),
            (placement(Some("w"), true), Some(status(7, TaskState::Stopped)), State::Stopped),
            (placement(Some("w"), true), Some(status(7, TaskState::Failed)), State::Stopped),
            (placement(Some("w"), true), Some(status(7, TaskState::Fenced)), State::Stopped),
        ];
        for (placement, status, expected) in cases {
            assert_eq!(State::of(&placement, status.as_ref()), expected, "{placement:?} {status:?}");
        }
    }
}
