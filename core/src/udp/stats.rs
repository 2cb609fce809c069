//! Counters of UDP, named after the UDP-MIB (RFC 4113) where it has them.

/// What UDP has counted since the stack was made. Counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UdpStats {
    /// Datagrams received for an endpoint; of a broadcast, one for each (`udpInDatagrams`).
    pub datagrams_received: u32,
    /// Datagrams nobody was bound to receive (`udpNoPorts`).
    pub no_ports: u32,
    /// Datagrams whose header contradicts itself (counts in `udpInErrors`).
    pub malformed: u32,
    /// Datagrams with a wrong checksum (counts in `udpInErrors`).
    pub checksum_errors: u32,
    /// Datagrams dropped because their endpoint has its share of the table waiting, or the table
    /// is full (counts in `udpInErrors`).
    pub queue_full: u32,
    /// Copies of a broadcast or multicast dropped because no descriptor was free (counts in
    /// `udpInErrors`).
    pub no_buffers: u32,
    /// Datagrams handed to the IP layer (`udpOutDatagrams`).
    pub datagrams_sent: u32,
    /// Datagrams that could not be sent: route, buffers, device.
    pub send_errors: u32,
}

impl UdpStats {
    /// Datagrams that were received and not delivered, other than for want of a port
    /// (`udpInErrors`).
    pub const fn errors_received(&self) -> u32 {
        self.malformed
            .wrapping_add(self.checksum_errors)
            .wrapping_add(self.queue_full)
            .wrapping_add(self.no_buffers)
    }
}

/// Counts one more.
pub(super) fn count(counter: &mut u32) {
    *counter = counter.wrapping_add(1);
}
