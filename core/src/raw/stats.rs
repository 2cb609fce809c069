//! Counters of raw IP endpoints.

/// What the raw endpoints of a stack have counted since it was made. Counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawStats {
    /// Packets queued for an endpoint; one for each endpoint that wants it.
    pub packets_received: u32,
    /// Packets dropped because their endpoint has its share of the table waiting, or the table is
    /// full.
    pub queue_full: u32,
    /// Packets dropped because few buffers of their pool were left, or no descriptor.
    pub no_buffers: u32,
    /// Packets handed to the IP layer.
    pub packets_sent: u32,
    /// Packets that could not be sent: header, route, buffers, device.
    pub send_errors: u32,
}
