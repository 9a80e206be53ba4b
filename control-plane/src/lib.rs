//! The control plane: definitions in a store, one elected reconciler, worker sessions, and the two APIs. It never touches a
//! record and links no driver; connectors are catalogue data that workers announce.

pub mod model;
pub mod store;
