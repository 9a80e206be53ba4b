//! Worker sessions: each worker holds one stream to one replica, which sends it its tasks, takes its reports, and asks it
//! questions.
//!
//! * [`Mirror`]: what the store holds that sessions need, kept up to date by one watch per replica.
//! * [`Sessions`]: the sessions of this replica; questions are asked through it.
//! * `stream`: one session; `lease`: its life in the store; `specs`: from references to tasks with their configuration;
//!   `outgoing`: full assignments and deltas; `statuses`: from reports to the store; `planner`: task sets of sources;
//!   `census`: counts for the metrics.

mod census;
mod confirm;
mod lease;
mod mirror;
mod outgoing;
mod planner;
mod sessions;
mod specs;
mod statuses;
mod stream;

use std::sync::Arc;

pub(crate) use census::run as run_census;
pub use mirror::Mirror;
pub(crate) use planner::run as run_planner;
pub(crate) use sessions::{AskError, Question, Sessions};
pub(crate) use statuses::{StatusWriter, run as run_statuses};
pub(crate) use stream::SessionServer;

use crate::auth::seal::Sealer;
use crate::config::ControlPlaneConfig;
use crate::metrics::Metrics;
use crate::store::Store;

/// What all sessions of a replica share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) statuses: StatusWriter,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) config: ControlPlaneConfig,
}
