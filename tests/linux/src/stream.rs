//! The bytes all transfers carry, and whether they arrived as sent.

/// What all streams consist of, over and over: a length that is no multiple of anything.
static PATTERN: [u8; 16_381] = {
    let mut bytes = [0; 16_381];
    let (mut i, mut state) = (0, 1_u32);
    while i < bytes.len() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes[i] = (state >> 24) as u8;
        i += 1;
    }
    bytes
};

/// What follows byte `at` of a stream, as far as it goes in one piece.
pub(crate) fn stream(at: u64) -> &'static [u8] {
    let offset = usize::try_from(at % PATTERN.len() as u64).unwrap_or(0);
    PATTERN.get(offset..).unwrap_or(&[])
}

/// Whether `bytes` are what a stream has from byte `at` on.
pub(crate) fn is_stream(mut at: u64, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let expected = stream(at);
        let (now, later) = bytes.split_at(bytes.len().min(expected.len()));
        if !expected.starts_with(now) {
            return false;
        }
        at += now.len() as u64;
        bytes = later;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_itself_and_nothing_else() {
        let mut bytes = Vec::new();
        while bytes.len() < 50_000 {
            bytes.extend_from_slice(stream(bytes.len() as u64));
        }
        assert!(is_stream(0, &bytes));
        assert!(is_stream(16_000, &bytes[16_000..]));
        assert!(!is_stream(1, &bytes));
        bytes[40_000] ^= 1;
        assert!(!is_stream(0, &bytes));
    }
}
