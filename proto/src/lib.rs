//! Generated types and services of Millrace's gRPC interfaces: `v1` is public, `internal` is between the planes.
//! Nothing is written by hand here; each crate converts at its own `wire.rs`.
#![allow(clippy::all, clippy::pedantic, unreachable_pub)]

/// The public API.
pub mod v1 {
    tonic::include_proto!("millrace.v1");
}

/// Between control plane and workers.
pub mod internal {
    /// Version 1 of the worker session.
    pub mod v1 {
        tonic::include_proto!("millrace.internal.v1");
    }
}

/// The encoded `FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("millrace");
