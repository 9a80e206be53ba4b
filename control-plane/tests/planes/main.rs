//! The control plane as its callers and workers see it: real listeners, a store in memory, and a worker that is only the
//! other end of the session.

#![allow(clippy::unwrap_used)]

mod flaky;
mod grpc;
mod rest;
mod sessions;
mod support;
