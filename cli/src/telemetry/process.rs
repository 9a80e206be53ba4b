//! Metrics every process has from its first second: what it is, and what it uses. Read from `/proc` when they are collected;
//! elsewhere than on Linux only the first.

use std::time::Instant;

use opentelemetry::{KeyValue, global};

/// Linux counts memory in pages of this many bytes on the machines we run on; `/proc` has no unit of its own for statm.
const PAGE_BYTES: u64 = 4096;
/// Ticks per second of `/proc/self/stat`; fixed at 100 by the kernel's interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// Registers the instruments with the global meter.
pub(super) fn register(role: &'static str) {
    let meter = global::meter("millrace");
    let started = Instant::now();
    meter
        .u64_observable_gauge("millrace.build.info")
        .with_description("Always 1; the labels say what runs")
        .with_callback(move |observer| {
            observer.observe(1, &[KeyValue::new("version", env!("CARGO_PKG_VERSION")), KeyValue::new("role", role)]);
        })
        .build();
    meter
        .f64_observable_gauge("process.uptime")
        .with_unit("s")
        .with_description("Time since the start of the process")
        .with_callback(move |observer| observer.observe(started.elapsed().as_secs_f64(), &[]))
        .build();
    meter
        .u64_observable_gauge("process.memory.usage")
        .with_unit("By")
        .with_description("Physical memory of the process")
        .with_callback(|observer| {
            if let Some(bytes) = resident_bytes(&read("/proc/self/statm")) {
                observer.observe(bytes, &[]);
            }
        })
        .build();
    meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_description("CPU time of the process, user and system")
        .with_callback(|observer| {
            if let Some(seconds) = cpu_seconds(&read("/proc/self/stat")) {
                observer.observe(seconds, &[]);
            }
        })
        .build();
    meter
        .u64_observable_gauge("process.thread.count")
        .with_unit("{thread}")
        .with_description("Threads of the process")
        .with_callback(|observer| {
            if let Some(threads) = threads(&read("/proc/self/stat")) {
                observer.observe(threads, &[]);
            }
        })
        .build();
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn resident_bytes(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse::<u64>().ok().map(|pages| pages * PAGE_BYTES)
}

/// Field `number` of proc(5)'s stat, from 1. The name of the process, field 2, may itself hold spaces and brackets.
fn stat_field(stat: &str, number: usize) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(number.checked_sub(3)?)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    let ticks = |number| stat_field(stat, number)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / TICKS_PER_SECOND)
}

fn threads(stat: &str) -> Option<u64> {
    stat_field(stat, 20)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 7 18 19";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(threads(stat), Some(7));
        assert_eq!(resident_bytes("100 25 3 4 5 6 7"), Some(25 * 4096));
        assert_eq!((cpu_seconds(""), threads("x"), resident_bytes("")), (None, None, None));
    }
}
