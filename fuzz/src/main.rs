//! libFuzzer's driver: `MILLRACE_FUZZ` names the target, of those in `data-plane/src/fuzzing`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use millrace_data_plane::fuzzing::TARGETS;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("MILLRACE_FUZZ").unwrap_or_default();
    TARGETS.iter().find(|(known, _)| *known == name).map_or_else(
        || {
            panic!(
                "MILLRACE_FUZZ={name} is none of {}",
                TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
            )
        },
        |(_, target)| *target,
    )
});

fuzz_target!(|data: &[u8]| TARGET(data));
