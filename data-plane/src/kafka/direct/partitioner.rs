//! Which partition a record goes to: that of its key as Java's producer has it, so that a key stays where it is; without a key
//! some bytes go to one partition and then some to the next (KIP-794).

/// So many bytes without keys go to one partition before the next has its turn (Java's default of `batch.size`, as there).
const STAY: usize = 16 * 1024;

/// The partition of a key among so many.
pub(super) fn of_key(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions.max(1)
}

/// Where records without a key go.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    partition: Option<usize>,
    bytes: usize,
}

impl Sticky {
    /// The partition for a record of so many bytes; `usable` are those that have a leader.
    pub(super) fn next(&mut self, bytes: usize, partitions: usize, usable: impl Fn(usize) -> bool) -> usize {
        let before = self.partition.filter(|_| self.bytes < STAY);
        let partition = before.unwrap_or_else(|| {
            // Begins anywhere, so that not all tasks begin with the same.
            let first = self.partition.map_or_else(|| rand::random_range(0..partitions.max(1)), |before| before + 1);
            let mut order = (first..first + partitions).map(|index| index % partitions);
            self.bytes = 0;
            order.find(|index| usable(*index)).unwrap_or(first % partitions.max(1))
        });
        self.partition = Some(partition);
        self.bytes += bytes;
        partition
    }
}

/// MurmurHash2 with the seed of Kafka's clients.
fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    #[allow(clippy::cast_possible_truncation)] // as there: keys are shorter
    let mut hash = 0x9747_b28c ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let word = word.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        let mixed = word.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (mixed ^ (mixed >> 24)).wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |last, byte| last << 8 | u32::from(*byte));
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Java's client.
    #[test]
    fn keys_are_hashed_as_in_java() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
        assert_eq!(of_key(b"abc", 4), 479_470_107 % 4);
    }

    #[test]
    fn without_keys_partitions_take_turns_by_bytes() {
        let mut sticky = Sticky::default();
        let mut bytes = [0; 3];
        for _ in 0..3000 {
            bytes[sticky.next(1000, 3, |_| true)] += 1000;
        }
        assert!(bytes.iter().all(|bytes| (980_000..=1_020_000).contains(bytes)), "{bytes:?}");
        let chosen: Vec<usize> = (0..100).map(|_| sticky.next(STAY, 3, |index| index == 2)).collect();
        assert!(chosen[1..].iter().all(|index| *index == 2), "{chosen:?}");
    }
}
