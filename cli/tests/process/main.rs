//! The binary as a process: how it starts, answers, says what is wrong, and ends. No servers are needed.

mod harness;
mod otlp;
mod standalone;
mod usage;
