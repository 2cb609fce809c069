//! Numbers an attacker must not guess: initial sequence numbers (RFC 6528), ephemeral ports
//! (RFC 6056) and timestamp offsets (RFC 7323 §5.4), each from a key of its own.
use core::net::{Ipv4Addr, SocketAddrV4};

use crate::random::{Entropy, Keyed, TableHash};
use crate::time::Instant;
use crate::wire::tcp::SeqNum;

/// First and last ephemeral port (RFC 6335 §6).
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49_152..=65_535;

#[derive(Debug)]
pub(crate) struct Secrets {
    isn: Keyed,
    ports: Keyed,
    timestamps: Keyed,
    table: TableHash,
    /// The last pair of addresses a port was picked for, and its offset.
    last_offset: Option<(Ipv4Addr, SocketAddrV4, u16)>,
    next_port: u16,
}

impl Secrets {
    pub(crate) fn new(entropy: Entropy<'_>) -> Self {
        Self {
            isn: Keyed::new(entropy),
            ports: Keyed::new(entropy),
            timestamps: Keyed::new(entropy),
            table: TableHash::new(entropy),
            last_offset: None,
            next_port: 0,
        }
    }

    /// RFC 6528 §3: ISN = M + F(localip, localport, remoteip, remoteport, secretkey), with M a
    /// clock that ticks every 4 µs.
    pub(crate) fn isn(&self, local: SocketAddrV4, remote: SocketAddrV4, now: Instant) -> SeqNum {
        let clock = (now.as_micros() / 4) as u32;
        SeqNum(clock.wrapping_add(pair(&self.isn, local, remote) as u32))
    }

    /// What this connection's timestamps are ahead of the clock.
    pub(crate) fn timestamp_offset(&self, local: SocketAddrV4, remote: SocketAddrV4) -> u32 {
        pair(&self.timestamps, local, remote) as u32
    }

    /// Where a connection is filed in look-up tables; keyed, so that nobody can crowd a chain.
    pub(crate) fn table_hash(&self, local: SocketAddrV4, remote: SocketAddrV4) -> u32 {
        let ports = u32::from(local.port()) << 16 | u32::from(remote.port());
        self.table
            .hash([local.ip().to_bits(), remote.ip().to_bits(), ports])
    }

    /// As [`Secrets::table_hash`], of a peer with all its connections.
    pub(crate) fn peer_hash(&self, peer: Ipv4Addr) -> u32 {
        self.table.hash([0, peer.to_bits(), 0])
    }

    /// The first ephemeral port from a secret offset on that `free` accepts, and what a connection
    /// from there has for a hash in look-up tables, which `free` is told, too (RFC 6056 §3.3.3,
    /// algorithm 3). `None`: all are taken.
    pub(crate) fn ephemeral_port(
        &mut self,
        local: Ipv4Addr,
        remote: SocketAddrV4,
        mut free: impl FnMut(u16, u32) -> bool,
    ) -> Option<(u16, u32)> {
        let range = EPHEMERAL.end() - EPHEMERAL.start() + 1;
        let offset = self.port_offset(local, remote);
        for _ in 0..range {
            let port = EPHEMERAL.start() + offset.wrapping_add(self.next_port) % range;
            self.next_port = self.next_port.wrapping_add(1);
            let hash = self.table_hash(SocketAddrV4::new(local, port), remote);
            if free(port, hash) {
                return Some((port, hash));
            }
        }
        None
    }

    fn port_offset(&mut self, local: Ipv4Addr, remote: SocketAddrV4) -> u16 {
        match self.last_offset {
            Some((from, to, offset)) if (from, to) == (local, remote) => offset,
            _ => {
                let offset = pair(&self.ports, SocketAddrV4::new(local, 0), remote) as u16;
                self.last_offset = Some((local, remote, offset));
                offset
            }
        }
    }
}

fn pair(key: &Keyed, local: SocketAddrV4, remote: SocketAddrV4) -> u64 {
    key.hash(&[
        &local.ip().octets(),
        &local.port().to_be_bytes(),
        &remote.ip().octets(),
        &remote.port().to_be_bytes(),
    ])
}

#[cfg(test)]
mod tests;
