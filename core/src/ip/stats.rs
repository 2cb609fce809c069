//! Counters of IP, ICMP and ARP, named after the IP-MIB (RFC 4293) and ICMP's groups in it
//! (RFC 4293, RFC 2011) where those have them. Every packet that is dropped is counted, once, by
//! its reason.

/// Counts one; counters wrap.
pub(crate) fn count(counter: &mut u32) {
    *counter = counter.wrapping_add(1);
}

/// What IP has counted since the stack was made. Counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IpStats {
    /// Packets received, wrong ones included (`ipInReceives`).
    pub in_receives: u32,
    /// Packets delivered to ICMP, UDP or TCP (`ipInDelivers`).
    pub in_delivers: u32,
    /// Packets whose header contradicts itself or the frame's length (`ipInHdrErrors`).
    pub in_header_errors: u32,
    /// Packets with a wrong header checksum.
    pub in_checksum_errors: u32,
    /// Packets that wanted to choose their way (RFC 7126 §4.3, §4.4).
    pub in_source_routes: u32,
    /// Packets from an address that cannot be a source: martians.
    pub in_martians: u32,
    /// Packets to others (`ipInAddrErrors`).
    pub in_address_errors: u32,
    /// Packets to this host alone in a frame to many (RFC 1122 §3.3.6).
    pub in_link_broadcasts: u32,
    /// Packets of protocols this stack does not have (`ipInUnknownProtos`).
    pub in_unknown_protocols: u32,
    /// Packets dropped because a header was spread over buffers and no other was free
    /// (`ipInDiscards`).
    pub in_discards: u32,
    /// Packets to send, from transports and ICMP (`ipOutRequests`).
    pub out_requests: u32,
    /// Of those, not sent for want of buffers, or because the device or loopback did not take
    /// them (`ipOutDiscards`).
    pub out_discards: u32,
    /// Of those, not sent because the interface was down.
    pub out_link_down: u32,
    /// Of those, longer than can be sent.
    pub out_too_long: u32,
    /// Copies of multicasts for members on this host that were lost for want of buffers or room.
    pub out_copies_lost: u32,
    /// Packets sent in fragments (`ipFragOKs`).
    pub fragmented: u32,
    /// Fragments sent (`ipFragCreates`).
    pub fragments_created: u32,
    /// Packets too long for the MTU that must not be fragmented (`ipFragFails`).
    pub fragment_fails: u32,
    /// Fragments received (`ipReasmReqds`).
    pub reassembly_fragments: u32,
    /// Packets put together (`ipReasmOKs`).
    pub reassembled: u32,
    /// Packets given up because fragments were missing for too long.
    pub reassembly_timeouts: u32,
    /// Packets given up to make room for others.
    pub reassembly_evicted: u32,
    /// Packets refused because fragments overlapped or contradicted each other.
    pub reassembly_overlaps: u32,
    /// Packets refused because they had too many fragments, or gaps, or bytes.
    pub reassembly_limits: u32,
    /// Fragments that had arrived before.
    pub reassembly_duplicates: u32,
}

/// What ICMP has counted since the stack was made. Counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IcmpStats {
    /// Messages received, wrong ones included (`icmpInMsgs`).
    pub in_messages: u32,
    /// Messages too short for their type (`icmpInErrors`).
    pub in_errors: u32,
    /// Messages with a wrong checksum.
    pub in_checksum_errors: u32,
    /// Echo requests (`icmpInEchos`).
    pub in_echos: u32,
    /// Echo requests not answered because they were sent to many (RFC 1122 §3.2.2.6).
    pub in_group_echos: u32,
    /// Destination unreachable, passed on to a transport (`icmpInDestUnreachs`).
    pub in_unreachable: u32,
    /// Time exceeded, passed on to a transport (`icmpInTimeExcds`).
    pub in_time_exceeded: u32,
    /// Parameter problem, passed on to a transport (`icmpInParmProbs`).
    pub in_parameter_problems: u32,
    /// Errors about packets this host cannot have sent.
    pub in_bad_quotes: u32,
    /// Redirects, which are not followed (`icmpInRedirects`).
    pub in_redirects: u32,
    /// Messages of other types: timestamps, address masks, replies nobody asked for.
    pub in_ignored: u32,
    /// Echo replies sent (`icmpOutEchoReps`).
    pub out_echo_replies: u32,
    /// Destination unreachable sent (`icmpOutDestUnreachs`).
    pub out_unreachable: u32,
    /// Time exceeded sent (`icmpOutTimeExcds`).
    pub out_time_exceeded: u32,
    /// Messages not sent because of the rate limits.
    pub out_rate_limited: u32,
    /// Errors not sent because nobody may be told (RFC 1122 §3.2.2): about errors, to many.
    pub out_suppressed: u32,
    /// Messages not sent for want of buffers, a route or room in the device (`icmpOutErrors`).
    pub out_errors: u32,
}

/// What ARP has counted since the stack was made. Counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArpStats {
    /// Packets received, wrong ones included.
    pub in_packets: u32,
    /// Packets that are too short, or not for IPv4 over Ethernet.
    pub in_errors: u32,
    /// Packets that changed nothing: not asked for, implausible, of others.
    pub in_ignored: u32,
    /// Claims of an own address by another station (RFC 5227 §2.4).
    pub conflicts: u32,
    /// Requests sent, announcements included.
    pub out_requests: u32,
    /// Replies sent.
    pub out_replies: u32,
    /// Neighbours given up because they did not answer.
    pub unresolved: u32,
    /// Packets dropped while they waited for a neighbour: too many, or no answer.
    pub waiting_dropped: u32,
    /// Packets not sent because all entries of the table were in better use.
    pub table_full: u32,
}

impl ArpStats {
    pub(crate) fn drop_waiting(&mut self, packets: usize) {
        let packets = u32::try_from(packets).unwrap_or(u32::MAX);
        self.waiting_dropped = self.waiting_dropped.wrapping_add(packets);
    }
}
