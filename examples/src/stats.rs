//! What the board has counted, as JSON.
use gannet_netconn::{Error, Patience};
use gannet_port_freertos::{Heap, counters, now};
use serde_json::{Map, Value, json};

use crate::board::{NET, pools};

/// The counters now.
///
/// # Errors
/// [`Error::NoBuffers`]: too many tasks sleep in calls.
pub fn stats() -> Result<Value, Error> {
    // First: the request itself wakes the tcpip thread.
    let wakeups = NET.wakeups();
    let snapshot = NET.snapshot(Patience::Forever)?;
    let mut pool_stats = Map::new();
    for (name, pool) in pools() {
        pool_stats.insert(
            name.into(),
            json!({
                "blocks": pool.blocks(),
                "block_size": pool.block_size(),
                "available": pool.available(),
                "least_available": pool.min_available(),
                "descriptors": pool.descriptors(),
                "descriptors_available": pool.descriptors_available(),
                "least_descriptors_available": pool.min_descriptors_available(),
            }),
        );
    }
    let (tcp, udp, ip) = (snapshot.tcp, snapshot.udp, snapshot.ip);
    let (icmp, arp, census) = (snapshot.icmp, snapshot.arp, snapshot.census);
    let interface = snapshot.interface;
    Ok(json!({
        "uptime_us": now().as_micros(),
        "connections": {
            "sockets": NET.connections(),
            "sleeping_tasks": NET.sleepers(),
            "tcp": census.connections,
            "half_open": census.half_open,
            "time_wait": census.time_wait,
        },
        "pools": pool_stats,
        "heap": { "available": Heap.available(), "least_available": Heap.min_available() },
        "tcpip": { "wakeups": wakeups },
        "simulator": {
            "context_switches": counters::context_switches(),
            "event_signals": counters::event_signals(),
        },
        "tcp": {
            "active_opens": tcp.active_opens,
            "passive_opens": tcp.passive_opens,
            "attempt_fails": tcp.attempt_fails,
            "segments_received": tcp.segments_received,
            "segments_sent": tcp.segments_sent,
            "segments_retransmitted": tcp.segments_retransmitted,
            "malformed": tcp.malformed,
            "checksum_errors": tcp.checksum_errors,
            "no_connection": tcp.no_connection,
            "resets_sent": tcp.resets_sent,
            "resets_received": tcp.resets_received,
            "unacceptable": tcp.unacceptable,
            "paws_rejected": tcp.paws_rejected,
            "challenge_acks": tcp.challenge_acks,
            "duplicate_acks": tcp.duplicate_acks,
            "out_of_order": tcp.out_of_order,
            "out_of_order_dropped": tcp.out_of_order_dropped,
            "syns_dropped": tcp.syns_dropped,
            "accepts_deferred": tcp.accepts_deferred,
            "timeouts": tcp.timeouts,
            "no_buffers": tcp.no_buffers,
            "bytes_received": tcp.bytes_received,
            "bytes_sent": tcp.bytes_sent,
        },
        "udp": {
            "datagrams_received": udp.datagrams_received,
            "no_ports": udp.no_ports,
            "malformed": udp.malformed,
            "checksum_errors": udp.checksum_errors,
            "queue_full": udp.queue_full,
            "no_buffers": udp.no_buffers,
            "datagrams_sent": udp.datagrams_sent,
            "send_errors": udp.send_errors,
        },
        "ip": {
            "in_receives": ip.in_receives,
            "in_delivers": ip.in_delivers,
            "in_header_errors": ip.in_header_errors,
            "in_checksum_errors": ip.in_checksum_errors,
            "in_source_routes": ip.in_source_routes,
            "in_martians": ip.in_martians,
            "in_address_errors": ip.in_address_errors,
            "in_link_broadcasts": ip.in_link_broadcasts,
            "in_unknown_protocols": ip.in_unknown_protocols,
            "in_discards": ip.in_discards,
            "out_requests": ip.out_requests,
            "out_discards": ip.out_discards,
            "out_link_down": ip.out_link_down,
            "out_too_long": ip.out_too_long,
            "fragmented": ip.fragmented,
            "fragments_created": ip.fragments_created,
            "fragment_fails": ip.fragment_fails,
            "reassembly_fragments": ip.reassembly_fragments,
            "reassembled": ip.reassembled,
            "reassembly_timeouts": ip.reassembly_timeouts,
            "reassembly_evicted": ip.reassembly_evicted,
            "reassembly_overlaps": ip.reassembly_overlaps,
            "reassembly_limits": ip.reassembly_limits,
            "reassembly_duplicates": ip.reassembly_duplicates,
        },
        "icmp": {
            "in_messages": icmp.in_messages,
            "in_errors": icmp.in_errors,
            "in_checksum_errors": icmp.in_checksum_errors,
            "in_echos": icmp.in_echos,
            "in_group_echos": icmp.in_group_echos,
            "in_parameter_problems": icmp.in_parameter_problems,
            "in_bad_quotes": icmp.in_bad_quotes,
            "in_ignored": icmp.in_ignored,
            "out_echo_replies": icmp.out_echo_replies,
            "out_unreachable": icmp.out_unreachable,
            "out_rate_limited": icmp.out_rate_limited,
            "out_suppressed": icmp.out_suppressed,
            "out_errors": icmp.out_errors,
        },
        "interface": {
            "in_frames": interface.in_frames,
            "in_octets": interface.in_octets,
            "in_errors": interface.in_errors,
            "in_discards": interface.in_discards,
            "in_unknown_protocols": interface.in_unknown_protocols,
            "out_frames": interface.out_frames,
            "out_octets": interface.out_octets,
            "out_discards": interface.out_discards,
        },
        "arp": {
            "in_packets": arp.in_packets,
            "in_errors": arp.in_errors,
            "in_ignored": arp.in_ignored,
            "conflicts": arp.conflicts,
            "out_requests": arp.out_requests,
            "out_replies": arp.out_replies,
            "unresolved": arp.unresolved,
            "waiting_dropped": arp.waiting_dropped,
            "table_full": arp.table_full,
        },
    }))
}

/// The counters as one line of JSON, or one section of them, as an answer to a command.
pub fn answer(section: Option<&str>) -> String {
    match (stats(), section) {
        (Err(error), _) => error.to_string(),
        (Ok(all), None) => all.to_string(),
        (Ok(all), Some(section)) => match all.get(section) {
            Some(section) => section.to_string(),
            None => format!("no counters of {section}"),
        },
    }
}
