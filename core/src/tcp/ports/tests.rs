//! Whether what goes on the wire looks random: 65,536 draws each.
use super::*;
use core::time::Duration;

const DRAWS: u32 = 1 << 16;
const HERE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 2);
const T: Instant = Instant::from_millis(5_000_000);

fn secrets(seed: u8) -> Secrets {
    let mut state = u64::from(seed) + 1;
    Secrets::new(&mut |bytes| {
        for byte in bytes {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
    })
}

/// The `n`-th of many peers that differ as little as addresses can.
fn peer(n: u32) -> SocketAddrV4 {
    let [a, b, c, d] = (0x0a00_0000 | n >> 4).to_be_bytes();
    SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), 1 + (n & 15) as u16)
}

/// Pearson's statistic of `values` in `bins` bins must lie within six standard deviations.
fn assert_uniform(what: &str, bins: usize, values: impl Iterator<Item = usize>) {
    let mut counts = vec![0u32; bins];
    for value in values {
        counts[value] += 1;
    }
    let expected = f64::from(counts.iter().sum::<u32>()) / bins as f64;
    let statistic: f64 = counts
        .iter()
        .map(|&n| (f64::from(n) - expected).powi(2) / expected)
        .sum();
    let (mean, deviation) = (bins as f64 - 1.0, (2.0 * (bins as f64 - 1.0)).sqrt());
    assert!(
        (statistic - mean).abs() < 6.0 * deviation,
        "{what}: {statistic} for {mean} degrees of freedom"
    );
}

/// Every byte, every bit, the differences of neighbours, and pairs of neighbours are uniform.
fn assert_random(what: &str, draws: &[u32]) {
    for shift in [0, 8, 16, 24] {
        let bytes = draws.iter().map(|n| (n >> shift & 0xff) as usize);
        assert_uniform(&format!("{what}, byte at {shift}"), 256, bytes);
        let steps = draws
            .windows(2)
            .map(|w| (w[1].wrapping_sub(w[0]) >> shift & 0xff) as usize);
        assert_uniform(&format!("{what}, difference at {shift}"), 256, steps);
        let pairs = draws
            .chunks_exact(2)
            .map(|w| ((w[0] >> shift & 0xf) << 4 | w[1] >> shift & 0xf) as usize);
        assert_uniform(&format!("{what}, pairs at {shift}"), 256, pairs);
    }
    for bit in 0..32 {
        let ones = draws.iter().filter(|n| *n >> bit & 1 == 1).count() as f64;
        let n = draws.len() as f64;
        let off = (ones - n / 2.0).abs() / (n.sqrt() / 2.0);
        assert!(
            off < 6.0,
            "{what}, bit {bit}: {off} standard deviations off"
        );
    }
    // Three draws in a row lie on no few planes: an attack on linear generators.
    let cells = draws
        .chunks_exact(3)
        .map(|w| (w[0] >> 28 << 8 | w[1] >> 28 << 4 | w[2] >> 28) as usize);
    assert_uniform(&format!("{what}, triples"), 4096, cells);
}

/// Pearson's correlation of two streams, and that their sum is uniform.
fn assert_independent(what: &str, a: &[u32], b: &[u32]) {
    let mean = |v: &[u32]| v.iter().map(|&n| f64::from(n)).sum::<f64>() / v.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let sum = |f: &dyn Fn(f64, f64) -> f64| {
        a.iter()
            .zip(b)
            .map(|(&x, &y)| f(f64::from(x) - ma, f64::from(y) - mb))
            .sum::<f64>()
    };
    let r = sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    let limit = 6.0 / (a.len() as f64).sqrt();
    assert!(r.abs() < limit, "{what}: correlation {r}");
    let mixed = a.iter().zip(b).map(|(x, y)| ((x ^ y) & 0xff) as usize);
    assert_uniform(&format!("{what}, exclusive or"), 256, mixed);
}

/// The port picked, whose hash is that of the connection.
fn port(
    s: &mut Secrets,
    local: Ipv4Addr,
    remote: SocketAddrV4,
    free: impl Fn(u16) -> bool,
) -> Option<u16> {
    let (port, hash) = s.ephemeral_port(local, remote, |port, _| free(port))?;
    assert_eq!(hash, s.table_hash(SocketAddrV4::new(local, port), remote));
    Some(port)
}

#[test]
fn c062_c063_c080_initial_numbers_of_different_peers_are_random() {
    let s = secrets(1);
    let local = SocketAddrV4::new(HERE, 80);
    let draws: Vec<_> = (0..DRAWS).map(|n| s.isn(local, peer(n), T).0).collect();
    assert_random("initial numbers", &draws);
}

#[test]
fn initial_numbers_of_one_peer_follow_the_clock_of_rfc_6528() {
    let s = secrets(1);
    let (local, remote) = (SocketAddrV4::new(HERE, 80), peer(1));
    let first = s.isn(local, remote, T);
    for n in 0..DRAWS {
        let later = T + Duration::from_micros(u64::from(n) * 400);
        assert_eq!(s.isn(local, remote, later).since(first), n * 100);
    }
    // Another boot, another key.
    let keys: Vec<_> = (0..255)
        .map(|n| secrets(n).isn(local, remote, T).0)
        .collect();
    assert_uniform("boots", 16, keys.iter().map(|n| (n >> 28) as usize));
}

#[test]
fn timestamp_offsets_are_random_and_the_same_for_one_pair() {
    let s = secrets(2);
    let local = SocketAddrV4::new(HERE, 80);
    let draws: Vec<_> = (0..DRAWS)
        .map(|n| s.timestamp_offset(local, peer(n)))
        .collect();
    assert_random("timestamp offsets", &draws);
    assert_eq!(draws[77], s.timestamp_offset(local, peer(77)));
}

#[test]
fn ports_to_different_peers_are_random_and_those_to_one_peer_do_not_repeat() {
    let mut s = secrets(3);
    let draws: Vec<_> = (0..DRAWS)
        .map(|n| port(&mut s, HERE, peer(n), |_| true).expect("a port"))
        .collect();
    let (first, last) = EPHEMERAL.into_inner();
    assert!(draws.iter().all(|port| (first..=last).contains(port)));
    let offsets = || draws.iter().map(|port| usize::from(port - first));
    assert_uniform("ports, low byte", 256, offsets().map(|n| n & 0xff));
    assert_uniform("ports, high bits", 64, offsets().map(|n| n >> 8));
    let steps = draws
        .windows(2)
        .map(|w| usize::from(w[1].wrapping_sub(w[0]) & 0xff));
    assert_uniform("ports, differences", 256, steps);
    // RFC 6056 §3.3.3: to one peer all ports come before the first comes again.
    let mut seen = std::collections::HashSet::new();
    let range = u32::from(last - first) + 1;
    let fresh = (0..range)
        .filter_map(|_| port(&mut s, HERE, peer(9), |_| true))
        .filter(|port| seen.insert(*port));
    assert_eq!(fresh.count(), range as usize);
}

#[test]
fn c063_x063_streams_say_nothing_about_each_other() {
    let mut s = secrets(4);
    let local = SocketAddrV4::new(HERE, 80);
    let isns: Vec<_> = (0..DRAWS).map(|n| s.isn(local, peer(n), T).0).collect();
    let stamps: Vec<_> = (0..DRAWS)
        .map(|n| s.timestamp_offset(local, peer(n)))
        .collect();
    let table: Vec<_> = (0..DRAWS).map(|n| s.table_hash(local, peer(n))).collect();
    let ports: Vec<_> = (0..DRAWS)
        .map(|n| port(&mut s, HERE, peer(n), |_| true).expect("a port"))
        .map(u32::from)
        .collect();
    assert_independent("numbers and timestamps", &isns, &stamps);
    assert_independent("numbers and ports", &isns, &ports);
    assert_independent("timestamps and ports", &stamps, &ports);
    assert_independent("numbers and table", &isns, &table);
    // Neither do neighbours of one stream.
    assert_independent("neighbours", &isns[1..], &isns[..isns.len() - 1]);
}

#[test]
fn a_port_that_is_taken_is_skipped_and_none_is_an_answer() {
    let mut s = secrets(5);
    let only = port(&mut s, HERE, peer(1), |port| port == 50_000);
    assert_eq!(only, Some(50_000));
    assert_eq!(port(&mut s, HERE, peer(1), |_| false), None);
}

/// What is promised of the table's hash: over the keys, two connections meet in a chain no more
/// often than by chance, however little they differ.
#[test]
fn neighbours_do_not_crowd_a_chain_of_the_table() {
    const CHAINS: usize = 256;
    const PEERS: u32 = 1024;
    let local = SocketAddrV4::new(HERE, 80);
    let keys = 0..200u8;
    let meetings: usize = keys
        .clone()
        .map(|key| {
            let s = secrets(key);
            let mut chains = [0usize; CHAINS];
            for n in 0..PEERS {
                chains[s.table_hash(local, peer(n)) as usize % CHAINS] += 1;
            }
            chains
                .iter()
                .map(|len| len * len.saturating_sub(1) / 2)
                .sum::<usize>()
        })
        .sum();
    let peers = PEERS as usize;
    let by_chance = keys.len() * peers * (peers - 1) / 2 / CHAINS;
    assert!(meetings < by_chance * 3 / 2, "{meetings}, not {by_chance}");
}
