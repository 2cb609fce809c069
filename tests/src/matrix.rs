//! The paths on which stacks are compared, and what others reach on them.
use std::time::Duration;

use crate::lossy::Path;

/// Round-trip times, in milliseconds, of lwIP's table.
pub const LWIP_RTT_MS: [u64; 3] = [1, 10, 50];
/// Loss, in percent, of lwIP's table.
pub const LWIP_LOSS: [f64; 4] = [0.0, 0.1, 1.0, 3.0];

/// Goodput for each loss, and the longest silence at 1 %.
pub type LwipRow = ([f64; 4], u32);

/// lwIP 2.2.1 as sender: window, then for each round-trip time the goodput in Mbit/s for each
/// loss, and the longest silence at 1 % in milliseconds. 100 Mbit/s, drop-tail queue of 100;
/// medians of five seeds.
pub const LWIP: [(u32, [LwipRow; 3]); 4] = [
    (
        5_840,
        [
            ([37.5, 12.3, 1.35, 0.48], 4406),
            ([4.56, 3.61, 1.18, 0.48], 4231),
            ([0.93, 0.91, 0.68, 0.35], 2547),
        ],
    ),
    (
        11_680,
        [
            ([75.0, 74.3, 16.9, 1.52], 2521),
            ([9.12, 9.05, 6.17, 1.39], 1478),
            ([1.86, 1.85, 1.56, 0.73], 1377),
        ],
    ),
    (
        65_535,
        [
            ([95.0, 86.7, 21.0, 1.70], 2707),
            ([50.6, 36.7, 9.19, 1.45], 2638),
            ([10.2, 7.70, 2.52, 0.75], 1972),
        ],
    ),
    (
        262_144,
        [
            ([90.6, 88.4, 18.2, 1.74], 2708),
            ([94.9, 47.6, 8.45, 1.51], 2655),
            ([41.6, 9.89, 2.56, 0.74], 2511),
        ],
    ),
];

/// A cell of lwIP's table.
pub fn lwip_path(window: u32, rtt_ms: u64, loss: f64) -> Path {
    let mut path = Path::symmetric(Duration::from_millis(rtt_ms), loss / 100.0, window);
    // Without loss the start shows, which theirs does not contain.
    let (seconds, bytes) = if loss > 0.0 {
        (30, 32 << 20)
    } else {
        (100, 4 << 30)
    };
    (path.limit, path.bytes) = (Duration::from_secs(seconds), bytes);
    path.limited(100_000_000, 100)
}

/// Loss, in percent, of smoltcp's `netsim`.
pub const NETSIM_LOSS: [f64; 7] = [0.0, 0.1, 1.0, 2.0, 5.0, 10.0, 20.0];

/// smoltcp 0.14 with CUBIC on its `netsim` path: window, goodput in bytes/s for each loss.
pub const NETSIM_CUBIC: [(u32, [u32; 7]); 2] = [
    (
        16_384,
        [160_589, 148_244, 54_051, 31_784, 12_399, 4_369, 686],
    ),
    (
        32_768,
        [312_391, 219_541, 59_813, 31_210, 12_754, 4_787, 602],
    ),
];

/// The same without congestion control, smoltcp's default.
pub const NETSIM_NONE: [(u32, [u32; 7]); 2] = [
    (
        16_384,
        [161_842, 159_311, 127_091, 104_233, 55_319, 27_269, 7_655],
    ),
    (
        32_768,
        [322_945, 314_780, 219_671, 166_588, 76_627, 37_775, 6_079],
    ),
];

/// A cell of `netsim`: 100 ms, no rate limit, loss both ways.
pub fn netsim_path(window: u32, loss: f64) -> Path {
    let mut path = Path::symmetric(Duration::from_millis(100), loss / 100.0, window);
    path.limit = Duration::from_secs(1200);
    path
}

/// Loss, in percent, on path A.
pub const PATH_A_LOSS: [f64; 4] = [0.0, 1.0, 3.0, 5.0];

/// Path A: 64 KiB window, 5 ms, no rate limit, loss on data and acknowledgements.
pub fn path_a(loss: f64) -> Path {
    Path::symmetric(Duration::from_millis(5), loss / 100.0, 65_535)
}

/// Path A at 100 Mbit/s.
pub fn path_a_limited(loss: f64) -> Path {
    path_a(loss).limited(100_000_000, 100)
}
