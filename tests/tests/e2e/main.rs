//! End to end: real processes, real servers, faults by signal. One binary, so that it is linked once.
//! `make test` runs it; by hand: `deploy/local/servers up && eval "$(deploy/local/servers env)" && cargo test -p millrace-tests`.

// A helper that cannot go on fails its test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bad_input;
mod changes;
mod connect_rest;
mod failover;
mod footprint;
mod late_writes;
mod leaders;
mod memory;
mod mongodb_check;
mod mongodb_pipeline;
mod plane_faults;
mod registry;
mod samples;
mod secured;
mod secured_kafka;
mod sources;
mod store_faults;
mod use_case;
mod worker_faults;
