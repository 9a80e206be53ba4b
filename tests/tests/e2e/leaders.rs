//! Brokers of a cluster are killed while a sink reads it.
