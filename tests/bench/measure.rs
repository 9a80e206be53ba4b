//! What both bare loops need: the time they take.

use std::time::Instant;

/// User and system time of this process, in seconds.
///
/// # Errors
/// When the kernel does not tell it.
pub(crate) fn cpu_seconds() -> Result<f64, String> {
    // Ticks are hundredths on every Linux that Rust runs on.
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|error| error.to_string())?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user + system) / 100.0),
        _ => Err("cannot read /proc/self/stat".to_owned()),
    }
}

/// Prints what a loop took since its first record, and since `cpu_before`: records and CPU-seconds per million of them.
///
/// # Errors
/// As [`cpu_seconds`].
pub(crate) fn print(seen: u64, bytes: usize, first: Option<Instant>, cpu_before: f64) -> Result<(f64, f64), String> {
    let seconds = first.map_or(0.0, |first| first.elapsed().as_secs_f64());
    let cpu = cpu_seconds()? - cpu_before;
    #[allow(clippy::cast_precision_loss)] // counts of a benchmark
    let (rate, per_million) = (seen as f64 / seconds, cpu * 1e6 / seen as f64);
    println!("{seen} records, {bytes} bytes: {rate:.0} records/s, {per_million:.3} CPU-seconds per million records");
    Ok((rate, per_million))
}
