//! Everything that can be tuned at run time, with lwIP's option names and the RFC behind each
//! default.
use core::time::Duration;

use crate::tcp::CongestionControl;

/// Limits and defaults of one stack. Start from [`Config::default`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// TCP.
    pub tcp: TcpConfig,
    /// UDP.
    pub udp: UdpConfig,
    /// IP, ARP and ICMP.
    pub ip: IpConfig,
}

/// Limits and defaults of TCP.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TcpConfig {
    /// Receive window of a connection in bytes, at most 2^30 (`TCP_WND`). Each connection may
    /// hold that much of the receive pool.
    pub rcv_wnd: u32,
    /// What the receive window may grow to by itself, as the application keeps up with the peer;
    /// at most 2^30. No more than [`TcpConfig::rcv_wnd`]: it stays as it is. The window scale is
    /// chosen for this size.
    pub rcv_wnd_max: u32,
    /// Bytes a connection may have written and unacknowledged (`TCP_SND_BUF`).
    pub snd_buf: u32,
    /// Buffers (descriptors) a connection may have in its send queue (`TCP_SND_QUEUELEN`).
    pub snd_queuelen: u16,
    /// Largest segment to send or to announce, in payload bytes; 0: what the route's MTU allows
    /// (RFC 9293 §3.7.1).
    pub max_mss: u16,
    /// Retransmission timeout before the first measurement (RFC 6298 §2.1).
    pub rto_initial: Duration,
    /// Smallest retransmission timeout. RFC 6298 §2.4 says 1 s; Linux and this stack use 200 ms,
    /// which its fine clock allows.
    pub rto_min: Duration,
    /// Largest retransmission timeout (RFC 6298 §2.5 asks for at least 60 s).
    pub rto_max: Duration,
    /// Retransmissions of data, or unanswered window probes, until the connection is given up
    /// (R2, RFC 9293 §3.8.3 asks for at least 100 s) (`TCP_MAXRTX`).
    pub max_retransmits: u8,
    /// Retransmissions of a SYN until the attempt is given up (`TCP_SYNMAXRTX`).
    pub max_syn_retransmits: u8,
    /// Longest an acknowledgement is held back (RFC 9293 §3.8.6.3: below 0.5 s). 40 ms as Linux:
    /// a sender whose window losses have cut to one segment waits for it after every other one.
    pub delayed_ack: Duration,
    /// Longest a peer is believed to hold an acknowledgement back (RFC 8985 §7.2).
    pub max_ack_delay: Duration,
    /// Congestion control of new connections (`TCP_CONGESTION`).
    pub congestion: CongestionControl,
    /// How long a closed connection stays in TIME-WAIT: twice the maximum segment lifetime
    /// (RFC 9293 §3.4.2 suggests 4 min; 60 s as Linux).
    pub time_wait: Duration,
    /// How long a connection that the application has closed waits for the peer's FIN
    /// (`TCP_FIN_WAIT_TIMEOUT`).
    pub fin_wait_2: Duration,
    /// Runs of out-of-order data a connection may hold: holes in what arrived, at most. A search
    /// among them takes the logarithm of their number.
    pub max_out_of_order_runs: u16,
    /// Receive buffers a connection may hold in out-of-order data (`TCP_OOSEQ_MAX_PBUFS`).
    pub max_out_of_order_buffers: u16,
    /// Offer and accept RFC 7323 timestamps.
    pub timestamps: Use,
    /// Offer and accept RFC 7323 window scaling.
    pub window_scaling: Use,
    /// Offer and accept RFC 2018 selective acknowledgements.
    pub sack: Use,
    /// Offer and accept RFC 3168 explicit congestion notification (Cargo feature `ecn`).
    pub ecn: Use,
    /// Discover what fits the path, RFC 1191 (Cargo feature `pmtud`); off: routers fragment.
    pub pmtud: Use,
    /// Answer SYNs for which no record is free with cookies, RFC 4987 (Cargo feature
    /// `syn-cookies`); off: they displace old half-open connections, or are dropped.
    pub syn_cookies: Use,
    /// Half-open connections that one host may have.
    pub max_half_open_per_peer: u16,
    /// Challenge acknowledgements per connection and second (RFC 5961 §10).
    pub challenge_acks_per_second: u8,
    /// Resets per second sent for segments that belong to no connection.
    pub resets_per_second: u16,
}

/// Whether an optional feature is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Never offered, not accepted from the peer.
    Off,
    /// Offered, and used if the peer does.
    On,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            rcv_wnd: 65_535,
            rcv_wnd_max: 65_535,
            snd_buf: 65_535,
            snd_queuelen: 256,
            max_mss: 0,
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(60),
            max_retransmits: 12,
            max_syn_retransmits: 6,
            delayed_ack: Duration::from_millis(40),
            max_ack_delay: Duration::from_millis(200),
            congestion: CongestionControl::default(),
            time_wait: Duration::from_secs(60),
            fin_wait_2: Duration::from_secs(20),
            max_out_of_order_runs: 16,
            max_out_of_order_buffers: 48,
            timestamps: Use::On,
            window_scaling: Use::On,
            sack: Use::On,
            ecn: Use::On,
            pmtud: Use::On,
            syn_cookies: Use::On,
            max_half_open_per_peer: 16,
            challenge_acks_per_second: 10,
            resets_per_second: 200,
        }
    }
}

/// Limits and defaults of UDP.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UdpConfig {
    /// Received broadcasts and multicasts, and what arrives behind them, that may wait for one
    /// endpoint to be told of them; never more than three quarters of the table
    /// (`DEFAULT_UDP_RECVMBOX_SIZE`).
    pub max_queued: u16,
}

impl Default for UdpConfig {
    fn default() -> Self {
        // What one turn takes from the drivers at most.
        Self { max_queued: 32 }
    }
}

/// Limits and defaults of IP, ARP and ICMP.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IpConfig {
    /// Time to live of packets sent (RFC 1700: 64) (`IP_DEFAULT_TTL`).
    pub ttl: u8,
    /// How long the fragments of a packet are waited for. RFC 1122 §3.3.2 suggests 60 to 120 s;
    /// 15 s as lwIP bounds the memory (`IP_REASS_MAXAGE`).
    pub reassembly_timeout: Duration,
    /// Bytes of receive buffers that all packets in reassembly may hold together. Whole buffers
    /// count, however little of them is used; so this also bounds the longest packet.
    pub reassembly_max_bytes: usize,
    /// How long a neighbour is believed without confirmation (`ARP_MAXAGE`). One that is sent to
    /// in the last quarter of that time is asked whether it is still there.
    pub neighbor_lifetime: Duration,
    /// Packets that wait for one neighbour to be resolved (`ARP_QUEUE_LEN`), at least one; the
    /// oldest makes room for the next.
    pub neighbor_queue: u8,
    /// ICMP errors sent per second, on average and in one burst (RFC 1812 §4.3.2.8). The exact
    /// number is random, so that nobody can count with it (CVE-2020-25705).
    pub icmp_errors_per_second: u16,
    /// Echo replies per second at most.
    pub echo_replies_per_second: u16,
}

impl Default for IpConfig {
    fn default() -> Self {
        Self {
            ttl: 64,
            reassembly_timeout: Duration::from_secs(15),
            reassembly_max_bytes: 32 * 1024,
            neighbor_lifetime: Duration::from_secs(300),
            neighbor_queue: 4,
            icmp_errors_per_second: 100,
            echo_replies_per_second: 20_000,
        }
    }
}
