//! Counters of TCP, named after the TCP-MIB (RFC 4022) where it has them.

/// What TCP has counted since the stack was made. Counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpStats {
    /// Connections opened from here (`tcpActiveOpens`).
    pub active_opens: u32,
    /// Connections accepted (`tcpPassiveOpens`).
    pub passive_opens: u32,
    /// Attempts to connect that failed (`tcpAttemptFails`).
    pub attempt_fails: u32,
    /// Segments received, wrong ones included (`tcpInSegs`).
    pub segments_received: u32,
    /// Segments sent (`tcpOutSegs`).
    pub segments_sent: u32,
    /// Segments sent again (`tcpRetransSegs`).
    pub segments_retransmitted: u32,
    /// Segments whose header or options contradict themselves, or whose addresses no connection
    /// can have (`tcpInErrs`).
    pub malformed: u32,
    /// Segments with a wrong checksum.
    pub checksum_errors: u32,
    /// Segments that belong to no connection.
    pub no_connection: u32,
    /// Resets sent (`tcpOutRsts`).
    pub resets_sent: u32,
    /// Resets that ended a connection.
    pub resets_received: u32,
    /// Segments outside the window.
    pub unacceptable: u32,
    /// Segments with a timestamp from the past (RFC 7323 §5).
    pub paws_rejected: u32,
    /// Challenge acknowledgements sent (RFC 5961).
    pub challenge_acks: u32,
    /// Duplicate acknowledgements received.
    pub duplicate_acks: u32,
    /// Segments stored out of order.
    pub out_of_order: u32,
    /// Segments not stored because a cap was reached.
    pub out_of_order_dropped: u32,
    /// SYNs dropped because the listener's backlog or the SYN queue was full.
    pub syns_dropped: u32,
    /// SYNs answered with a cookie, because no record was free or a cap was reached (RFC 4987).
    pub syn_cookies_sent: u32,
    /// Connections made from a cookie that came back.
    pub syn_cookies_received: u32,
    /// Acknowledgements for a listener that had sent cookies, and which were none.
    pub syn_cookies_failed: u32,
    /// Half-open connections that gave way to newer ones.
    pub half_open_evicted: u32,
    /// Segments that would complete a handshake, or follow one that does, when no control block or
    /// place in the backlog was free; the peer tries again.
    pub accepts_deferred: u32,
    /// ICMP errors that quote nothing in flight, or claim what cannot be (RFC 5927).
    pub icmp_ignored: u32,
    /// How often a segment size was lowered for the path (RFC 1191).
    pub path_mtu_lowered: u32,
    /// How often that was for a path that loses large segments silently (RFC 4821).
    pub black_holes: u32,
    /// Expiries of the retransmission timer.
    pub timeouts: u32,
    /// Timeouts that F-RTO found spurious (RFC 5682).
    pub spurious_timeouts: u32,
    /// Reductions of a congestion window that were taken back (RFC 4015, RFC 3708, RFC 5682).
    pub undone: u32,
    /// D-SACKs received: data that arrived twice (RFC 2883).
    pub duplicates_reported: u32,
    /// Probes for lost tails sent (RFC 8985 §7).
    pub tail_probes: u32,
    /// Segments that waited because no buffer was free.
    pub no_buffers: u32,
    /// Payload bytes received, retransmissions included.
    pub bytes_received: u64,
    /// Payload bytes sent, retransmissions included.
    pub bytes_sent: u64,
}
