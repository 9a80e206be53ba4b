//! The bytes that end a run of plain text (a quote, a backslash, a control character), found 64 at a time: one bit per byte.
//! A walk that asks for the next of them, and for the next, only shifts; searching anew each time costs twice as much, most of it
//! in branches that no processor foresees.

use wide::u8x16;

/// So many bytes have their bits in one word.
pub(super) const BLOCK: usize = 64;

/// One bit for each byte that is no plain text.
#[inline]
pub(super) fn of_block(block: &[u8; BLOCK]) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    parts.iter().rev().fold(0, |marks, part| marks << 16 | u64::from(of_part(*part)))
}

#[inline]
fn of_part(part: [u8; 16]) -> u32 {
    let bytes = u8x16::new(part);
    let is = |byte| bytes.simd_eq(u8x16::splat(byte));
    let is_control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    (is(b'"') | is(b'\\') | is_control).to_bitmask()
}

/// The marks of the block that a walk has reached.
pub(super) struct Marks {
    /// Where the block begins, a multiple of its size
    block: usize,
    bits: u64,
}

impl Marks {
    /// Of no block yet.
    pub(super) fn none() -> Self {
        Self { block: usize::MAX, bits: 0 }
    }

    /// The first byte from `at` on that is no plain text, or else the end.
    #[inline]
    pub(super) fn next(&mut self, bytes: &[u8], at: usize) -> usize {
        let mut block = at & !(BLOCK - 1);
        if block != self.block {
            self.load(bytes, block);
        }
        let rest = self.bits >> (at % BLOCK);
        if rest != 0 {
            return at + rest.trailing_zeros() as usize;
        }
        // What lies behind the end is marked, so this ends there.
        loop {
            block += BLOCK;
            self.load(bytes, block);
            if self.bits != 0 {
                return block + self.bits.trailing_zeros() as usize;
            }
        }
    }

    #[inline]
    fn load(&mut self, bytes: &[u8], block: usize) {
        let rest = bytes.get(block..).unwrap_or_default();
        self.block = block;
        self.bits = rest.first_chunk().map_or_else(|| of_rest(rest), of_block);
    }
}

/// Of less than a block; what lies behind the end is marked.
#[inline(never)]
fn of_rest(rest: &[u8]) -> u64 {
    let mut block = [b'"'; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    of_block(&block)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_mark_is_the_next_byte_that_is_not_plain(
            bytes in prop::collection::vec(prop_oneof![4 => 0x20..=0xff_u8, 1 => any::<u8>()], 0..300),
        ) {
            let mut marks = Marks::none();
            let is_mark = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            for at in 0..=bytes.len() {
                let expected = bytes[at..].iter().position(is_mark).map_or(bytes.len(), |found| at + found);
                prop_assert_eq!(marks.next(&bytes, at), expected);
                prop_assert_eq!(Marks::none().next(&bytes, at), expected);
            }
        }
    }
}
