//! A look into a connection, for diagnosis (`TCP_INFO`).
use core::time::Duration;

use crate::time::Instant;

use super::CongestionControl;
use super::State;
use super::pcb::Pcb;

/// How a connection is doing; [`Tcp::info`](super::Tcp::info) makes it. Counters wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[doc(alias = "tcp_info")]
pub struct TcpInfo {
    /// The state (`tcpi_state`).
    pub state: State,
    /// The congestion control algorithm (`TCP_CONGESTION`).
    pub congestion: CongestionControl,
    /// Smoothed round-trip time; `None` before the first measurement (`tcpi_rtt`).
    pub srtt: Option<Duration>,
    /// Its mean deviation (`tcpi_rttvar`).
    pub rttvar: Option<Duration>,
    /// The retransmission timeout as it stands, back-off included (`tcpi_rto`).
    pub rto: Duration,
    /// The round-trip time the receiving half has seen (`tcpi_rcv_rtt`).
    pub rcv_rtt: Option<Duration>,
    /// Congestion window in bytes (`tcpi_snd_cwnd`, there in segments).
    pub snd_cwnd: u32,
    /// Slow start threshold in bytes (`tcpi_snd_ssthresh`).
    pub snd_ssthresh: u32,
    /// Bytes sent and not acknowledged (`tcpi_unacked`).
    pub in_flight: u32,
    /// Bytes queued and never sent (`tcpi_notsent_bytes`).
    pub unsent: u32,
    /// Payload bytes of a full segment to the peer, now (`tcpi_snd_mss`).
    pub snd_mss: u32,
    /// The largest segment the peer has sent (`tcpi_rcv_mss`).
    pub rcv_mss: u32,
    /// The peer's window in bytes (`tcpi_snd_wnd`).
    pub snd_wnd: u32,
    /// Our window in bytes, as offered (`tcpi_rcv_wnd`).
    pub rcv_wnd: u32,
    /// What our window is when nothing is unread; grows by itself unless set
    /// (`tcpi_rcv_space`).
    pub rcv_space: u32,
    /// Bytes received and not yet [`recved`](super::Tcp::recved).
    pub unread: u32,
    /// RFC 7323 timestamps are in use (`TCPI_OPT_TIMESTAMPS`).
    pub timestamps: bool,
    /// RFC 2018 selective acknowledgements are in use (`TCPI_OPT_SACK`).
    pub sack: bool,
    /// The window scales, ours and the peer's, if they are in use (`TCPI_OPT_WSCALE`).
    pub window_scales: Option<(u8, u8)>,
    /// RFC 3168 congestion marks are in use (`TCPI_OPT_ECN`).
    pub ecn: bool,
    /// Segments that arrived with a congestion mark (`tcpi_delivered_ce` of the peer).
    pub ecn_marks: u32,
    /// Time-outs, or window probes, since the last progress (`tcpi_backoff`).
    pub backoff: u8,
    /// Keepalive probes without an answer (`tcpi_probes`).
    pub keepalive_probes: u8,
    /// Segments sent again, ever (`tcpi_total_retrans`).
    pub retransmitted: u32,
    /// Segments sent (`tcpi_segs_out`).
    pub segments_sent: u32,
    /// Segments received (`tcpi_segs_in`).
    pub segments_received: u32,
    /// Payload bytes sent, retransmissions included (`tcpi_bytes_sent`).
    pub bytes_sent: u64,
    /// Payload bytes received in order (`tcpi_bytes_received`).
    pub bytes_received: u64,
    /// Time since data was last sent (`tcpi_last_data_sent`).
    pub since_data_sent: Option<Duration>,
    /// Time since data last arrived in order (`tcpi_last_data_recv`).
    pub since_data_received: Option<Duration>,
    /// Time since the peer was last heard (`tcpi_last_ack_recv`).
    pub since_heard: Option<Duration>,
}

/// What is counted for each connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    pub(crate) segments_sent: u32,
    pub(crate) segments_received: u32,
    pub(crate) retransmitted: u32,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) data_sent: Option<Instant>,
    pub(crate) data_received: Option<Instant>,
}

impl Counters {
    pub(crate) const ZERO: Self = Self {
        segments_sent: 0,
        segments_received: 0,
        retransmitted: 0,
        bytes_sent: 0,
        bytes_received: 0,
        data_sent: None,
        data_received: None,
    };

    /// A segment with `len` bytes of data was sent.
    pub(crate) fn sent(&mut self, len: u32, again: bool, now: Instant) {
        self.segments_sent = self.segments_sent.wrapping_add(1);
        self.retransmitted = self.retransmitted.wrapping_add(u32::from(again));
        self.bytes_sent = self.bytes_sent.wrapping_add(u64::from(len));
        if len > 0 {
            self.data_sent = Some(now);
        }
    }

    /// So many segments were sent for the first time, with so many bytes of data.
    pub(crate) fn sent_new(&mut self, segments: u32, bytes: u32) {
        self.segments_sent = self.segments_sent.wrapping_add(segments);
        self.bytes_sent = self.bytes_sent.wrapping_add(u64::from(bytes));
    }

    /// `len` more bytes are there for the application.
    pub(crate) fn received(&mut self, len: u32, now: Instant) {
        self.bytes_received = self.bytes_received.wrapping_add(u64::from(len));
        self.data_received = Some(now);
    }
}

impl TcpInfo {
    pub(super) fn of(pcb: &Pcb, now: Instant) -> Self {
        let since = |at: Instant| now.saturating_since(at);
        let counters = &pcb.counters;
        let synchronized = pcb.is_synchronized();
        let received = u32::try_from(pcb.rcv.queue.len()).unwrap_or(u32::MAX);
        Self {
            state: pcb.state,
            congestion: pcb.congestion.which(),
            srtt: pcb.rtt.srtt().map(Duration::from),
            rttvar: pcb.rtt.rttvar().map(Duration::from),
            rto: pcb.rtt.rto().into(),
            rcv_rtt: pcb.tune.rtt().map(Duration::from),
            snd_cwnd: pcb.congestion.cwnd(),
            snd_ssthresh: pcb.congestion.ssthresh(),
            in_flight: pcb.snd.in_flight(),
            unsent: pcb.snd.unsent(),
            snd_mss: pcb.effective_mss(),
            rcv_mss: pcb.rcv.largest,
            snd_wnd: pcb.snd.wnd,
            rcv_wnd: pcb.rcv.window(),
            rcv_space: pcb.rcv.limit,
            unread: pcb.rcv.unread.saturating_add(received),
            timestamps: pcb.negotiated.timestamps.is_some() && synchronized,
            sack: pcb.negotiated.sack,
            window_scales: pcb
                .negotiated
                .window_scaling
                .then_some((pcb.rcv.shift, pcb.snd.shift)),
            ecn: pcb.ecn.agreed,
            ecn_marks: pcb.ecn.marks,
            backoff: pcb.recovery.attempts,
            keepalive_probes: pcb.keepalive_probes,
            retransmitted: counters.retransmitted,
            segments_sent: counters.segments_sent,
            segments_received: counters.segments_received,
            bytes_sent: counters.bytes_sent,
            bytes_received: counters.bytes_received,
            since_data_sent: counters.data_sent.map(since),
            since_data_received: counters.data_received.map(since),
            since_heard: synchronized.then(|| since(pcb.last_heard)),
        }
    }
}
