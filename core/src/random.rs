//! Unpredictable numbers for the wire: independent keyed streams, no shared generator.
//!
//! Each consumer (initial sequence numbers, ports, timestamp offsets, IP identifiers, look-up
//! tables) draws its own key from the entropy source once, so what one of them shows on the wire
//! says nothing about another (RFC 9293 §3.4.1, RFC 6056 §3.3.3, RFC 7739).
use siphasher::sip::SipHasher24;

/// Addresses and ports of a connection, and more.
const LONGEST_INPUT: usize = 40;

/// A source of true randomness, used while the stack is built and never again.
///
/// Any hardware generator fits: `&mut |buffer: &mut [u8]| rng.fill_bytes(buffer)`.
pub type Entropy<'a> = &'a mut dyn FnMut(&mut [u8]);

/// A keyed pseudo-random function with a counter: one stream of unpredictable numbers.
#[derive(Clone)]
pub(crate) struct Keyed {
    key: [u8; 16],
    drawn: u64,
}

impl Keyed {
    pub(crate) fn new(entropy: Entropy<'_>) -> Self {
        let mut key = [0; 16];
        entropy(&mut key);
        Self { key, drawn: 0 }
    }

    /// Another stream, which says as little about this one as that about it.
    pub(crate) fn derive(&self, name: &[u8]) -> Self {
        let mut key = [0; 16];
        for (half, n) in key.as_chunks_mut::<8>().0.iter_mut().zip([1, 2]) {
            *half = self.hash(&[b"derive", name, &[n]]).to_le_bytes();
        }
        Self { key, drawn: 0 }
    }

    /// The function itself: the same input gives the same number. Its first [`LONGEST_INPUT`] bytes
    /// count; nobody has more.
    // Inlined, for the lengths are constants where it is called: the input is then put together
    // by a few stores.
    #[inline(always)]
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> u64 {
        // In one piece: the hasher's bookkeeping for parts costs as much as the function.
        let mut input = [0; LONGEST_INPUT];
        let mut len = 0;
        for part in parts {
            let Some(room) = input.get_mut(len..len + part.len()) else {
                debug_assert!(false, "raise LONGEST_INPUT");
                break;
            };
            room.copy_from_slice(part);
            len += part.len();
        }
        self.hash_bytes(input.get(..len).unwrap_or_default())
    }

    #[inline(never)]
    fn hash_bytes(&self, input: &[u8]) -> u64 {
        SipHasher24::new_with_key(&self.key).hash(input)
    }

    /// The next number of the stream.
    pub(crate) fn next(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        self.hash(&[b"next", &self.drawn.to_le_bytes()])
    }
}

impl core::fmt::Debug for Keyed {
    /// Never shows the key.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Keyed").finish_non_exhaustive()
    }
}

/// A keyed hash of three words for tables in memory, nothing of which shows on the wire:
/// multilinear hashing, which is strongly universal. Whatever connections a stranger chooses, each
/// two of them share a 32-bit value with probability 2^-32 over the keys, so that nobody can crowd
/// a chain, at a tenth of the cost of [`Keyed`]. It is no pseudo-random function: what goes out
/// must not depend on it.
pub(crate) struct TableHash {
    keys: [u64; 4],
}

impl TableHash {
    pub(crate) fn new(entropy: Entropy<'_>) -> Self {
        let mut keys = [0; 4];
        for key in &mut keys {
            let mut bytes = [0; 8];
            entropy(&mut bytes);
            *key = u64::from_le_bytes(bytes);
        }
        Self { keys }
    }

    /// The upper half of `k0 + k1 a + k2 b + k3 c`, modulo 2^64.
    pub(crate) fn hash(&self, [a, b, c]: [u32; 3]) -> u32 {
        let [k0, k1, k2, k3] = self.keys;
        let sum = k0
            .wrapping_add(k1.wrapping_mul(a.into()))
            .wrapping_add(k2.wrapping_mul(b.into()))
            .wrapping_add(k3.wrapping_mul(c.into()));
        (sum >> 32) as u32
    }
}

impl core::fmt::Debug for TableHash {
    /// Never shows the keys.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TableHash").finish_non_exhaustive()
    }
}
