//! The source against a real MongoDB at `MONGODB_URI`. Each test works in a database of its own and drops it.

#![allow(clippy::unwrap_used)] // a test fails by panicking

mod copying;
mod deployment;
mod faults;
mod lost;
mod output;
mod place;
mod shares;
mod starting;
