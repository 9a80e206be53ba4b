//! The four codecs of record batches.

use std::io::{self, Read, Write};

use super::codec::Malformed;

/// The most that a batch may become: a batch of zeroes must not fill a worker's memory.
const MOST: u64 = 256 * 1024 * 1024;

/// How records are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not at all
    None,
    /// gzip
    Gzip,
    /// Snappy, framed as Java's library does it
    Snappy,
    /// LZ4 frames
    Lz4,
    /// Zstandard
    Zstd,
}

impl Codec {
    /// By its name in `compression.type`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "none" => Self::None,
            "gzip" => Self::Gzip,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// Its number in a batch's attributes.
    pub(super) fn number(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

/// Packs a batch's records to the end of `to`.
pub(super) fn pack(codec: Codec, records: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
    match codec {
        Codec::None => to.extend_from_slice(records),
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::default());
            encoder.write_all(records)?;
            encoder.finish()?;
        }
        Codec::Snappy => pack_snappy(records, to)?,
        Codec::Lz4 => {
            // Blocks of 64 KiB that stand alone, as Java writes them
            let info = lz4_flex::frame::FrameInfo::new().block_size(lz4_flex::frame::BlockSize::Max64KB);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, to);
            encoder.write_all(records)?;
            encoder.finish().map_err(io::Error::other)?;
        }
        Codec::Zstd => zstd::stream::copy_encode(records, to, zstd::DEFAULT_COMPRESSION_LEVEL)?,
    }
    Ok(())
}

fn pack_snappy(records: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
    const BLOCK: usize = 32 * 1024;
    to.extend_from_slice(SNAPPY);
    to.extend([0, 0, 0, 1, 0, 0, 0, 1]);
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(BLOCK) {
        let packed = encoder.compress_vec(block).map_err(io::Error::other)?;
        to.extend(u32::try_from(packed.len()).map_err(io::Error::other)?.to_be_bytes());
        to.extend(packed);
    }
    Ok(())
}

/// Unpacks a batch's records to the end of `to`.
pub(super) fn unpack(codec: i16, packed: &[u8], to: &mut Vec<u8>) -> Result<(), Malformed> {
    let before = to.len();
    let read = |from: &mut dyn Read, to: &mut Vec<u8>| from.take(MOST + 1).read_to_end(to);
    let outcome = match codec {
        1 => read(&mut flate2::read::MultiGzDecoder::new(packed), to),
        2 => return snappy(packed, to),
        3 => read(&mut lz4_flex::frame::FrameDecoder::new(packed), to),
        4 => zstd::stream::read::Decoder::with_buffer(packed).and_then(|mut decoder| read(&mut decoder, to)),
        _ => return Err(Malformed("a batch is compressed by a codec that is not known")),
    };
    outcome.map_err(|_| Malformed("a batch cannot be unpacked"))?;
    bounded(to.len() - before)
}

fn bounded(size: usize) -> Result<(), Malformed> {
    let fits = u64::try_from(size).is_ok_and(|size| size <= MOST);
    if fits { Ok(()) } else { Err(Malformed("a batch unpacks to more than 256 MiB")) }
}

/// How snappy begins where Java's library frames it.
const SNAPPY: &[u8] = b"\x82SNAPPY\0";

/// Snappy as Java's library frames it (a magic number, two versions, then blocks with their lengths), or one bare block, as some
/// clients write it.
fn snappy(packed: &[u8], to: &mut Vec<u8>) -> Result<(), Malformed> {
    let Some(mut blocks) = packed.strip_prefix(SNAPPY).and_then(|rest| rest.get(8..)) else {
        return block(packed, 0, to);
    };
    let before = to.len();
    while !blocks.is_empty() {
        let (length, rest) = blocks.split_first_chunk().ok_or(Malformed("a batch cannot be unpacked"))?;
        let (packed, rest) = rest
            .split_at_checked(u32::from_be_bytes(*length) as usize)
            .ok_or(Malformed("a batch cannot be unpacked"))?;
        block(packed, to.len() - before, to)?;
        blocks = rest;
    }
    Ok(())
}

fn block(packed: &[u8], before: usize, to: &mut Vec<u8>) -> Result<(), Malformed> {
    let bad = |_| Malformed("a batch cannot be unpacked");
    let size = snap::raw::decompress_len(packed).map_err(bad)?;
    bounded(before + size)?;
    let start = to.len();
    to.resize(start + size, 0);
    let written = snap::raw::Decoder::new().decompress(packed, &mut to[start..]).map_err(bad)?;
    to.truncate(start + written);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(codec: i16, packed: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut to = b"before".to_vec();
        unpack(codec, packed, &mut to).map(|()| to.split_off(6))
    }

    #[test]
    fn what_was_packed_comes_out_again() {
        let text = b"some records ".repeat(10_000);
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"].map(|name| Codec::named(name).unwrap()) {
            let mut packed = Vec::new();
            pack(codec, &text, &mut packed).unwrap();
            if codec == Codec::None {
                assert_eq!(packed, text);
            } else {
                assert_eq!(unpacked(codec.number(), &packed).unwrap(), text, "{codec:?}");
            }
        }
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&text).unwrap();
        assert_eq!(unpacked(1, &gzip.finish().unwrap()).unwrap(), text);
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&text).unwrap();
        assert_eq!(unpacked(3, &lz4.finish().unwrap()).unwrap(), text);
        assert_eq!(unpacked(4, &zstd::encode_all(&text[..], 3).unwrap()).unwrap(), text);
        let bare = snap::raw::Encoder::new().compress_vec(&text).unwrap();
        assert_eq!(unpacked(2, &bare).unwrap(), text);
        let mut framed = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
        for half in text.chunks(text.len() / 2) {
            let block = snap::raw::Encoder::new().compress_vec(half).unwrap();
            framed.extend(u32::try_from(block.len()).unwrap().to_be_bytes());
            framed.extend(block);
        }
        assert_eq!(unpacked(2, &framed).unwrap(), text);
        framed.truncate(framed.len() - 1);
        assert!(unpacked(2, &framed).is_err());
    }

    #[test]
    fn what_is_no_packed_batch_is_refused() {
        for codec in 0..6 {
            assert!(unpacked(codec, b"neither of them, whatever codec").is_err(), "{codec}");
        }
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for _ in 0..257 {
            bomb.write_all(&vec![0; 1 << 20]).unwrap();
        }
        assert_eq!(unpacked(1, &bomb.finish().unwrap()).unwrap_err().0, "a batch unpacks to more than 256 MiB");
    }
}
