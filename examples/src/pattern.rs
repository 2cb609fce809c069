//! Bytes that everybody can compute and nobody would send by mistake: what is downloaded and sent
//! in examples and tests.

/// The period: a prime, so that no segment or buffer size hides a shift.
const PERIOD: usize = 251;
/// Bytes that repeat the pattern often enough to be copied from.
static PATTERN: [u8; PERIOD * 65] = pattern();

const fn pattern() -> [u8; PERIOD * 65] {
    let mut bytes = [0; PERIOD * 65];
    let mut i = 0;
    while i < bytes.len() {
        bytes[i] = (i % PERIOD) as u8;
        i += 1;
    }
    bytes
}

/// Part of the pattern from byte `offset` on: at most `len` bytes, and at least one if `len` is.
pub fn at(offset: u64, len: u64) -> &'static [u8] {
    let start = usize::try_from(offset % PERIOD as u64).unwrap_or(0);
    let rest = PATTERN.get(start..).unwrap_or(&[]);
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
    rest.get(..len).unwrap_or(&[])
}

/// The CRC-32 of the first `len` bytes.
pub fn crc(len: u64) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    let mut offset = 0;
    while offset < len {
        let piece = at(offset, len - offset);
        crc.update(piece);
        offset += piece.len() as u64;
    }
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn pieces_make_the_pattern() {
        let mut offset = 0;
        while offset < 100_000 {
            let piece = at(offset, 100_000 - offset);
            assert!(!piece.is_empty());
            for (n, byte) in (offset..).zip(piece) {
                assert_eq!(u64::from(*byte), n % 251);
            }
            offset += piece.len() as u64;
        }
        assert!(at(5, 0).is_empty());
    }
}
