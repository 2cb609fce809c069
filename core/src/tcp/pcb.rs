//! The control block of one connection, and what the application has still to be told about it.
use core::net::{Ipv4Addr, SocketAddrV4};

use crate::config::TcpConfig;
use crate::error::Error;
use crate::handle::{Owner, TcpListener};
use crate::ip::Head;
use crate::time::Instant;
use crate::wire::tcp::SeqNum;
use crate::wire::tcp_options::{MAX_LEN, Options, SackBlock, Timestamps};

use super::State;
use super::autotune::AutoTune;
use super::congestion::Congestion;
use super::ecn::EcnState;
use super::info::Counters;
use super::limit::Limiter;
use super::out_of_order::Runs;
use super::pmtud::PathMtu;
use super::receive::{PeerFin, Receiver};
use super::retransmit::Recovery;
use super::rtt::Rtt;
#[cfg(feature = "sack")]
use super::selective::Selective;
use super::send::{Fin, Sender};
use super::settings::Settings;
use super::timers::{Timer, TimerTable};

/// "Not bound", "not connected".
pub(crate) const NO_ADDR: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

/// What both sides agreed on in their SYNs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Negotiated {
    /// RFC 7323 timestamps: what ours are ahead of the clock.
    pub(crate) timestamps: Option<u32>,
    /// The peer understands selective acknowledgements.
    pub(crate) sack: bool,
    /// Windows are scaled (RFC 7323 §2.2).
    pub(crate) window_scaling: bool,
}

/// Level-triggered news for the application; repetitions merge.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) accept: Option<TcpListener>,
    pub(crate) connected: bool,
    /// Bytes acknowledged since the last `sent`.
    pub(crate) acked: usize,
    pub(crate) poll: bool,
    /// The application refused what is in the receive queue; not to be offered before the timer
    /// or the next segment.
    pub(crate) refused: bool,
}

/// Who looks after the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attached {
    /// Its owner, through the handle.
    Yes,
    /// Nobody: events are not delivered, data resets it (RFC 9293 §3.10.4).
    Orphan,
}

/// Whether the connection is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    /// Ended; the block waits for its last events to be delivered.
    Ended,
    /// Ended by an error, which is the last event.
    Failed(Error),
}

/// A transmission control block (TCB).
#[derive(Debug)]
pub(crate) struct Pcb {
    pub(crate) owner: Owner,
    pub(crate) arg: usize,
    pub(crate) attached: Attached,
    pub(crate) life: Life,
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: SocketAddrV4,
    pub(crate) state: State,
    pub(crate) snd: Sender,
    pub(crate) rcv: Receiver,
    pub(crate) rtt: Rtt,
    /// The segment being timed when timestamps are not in use: its end, and when it was sent.
    pub(crate) timed: Option<(SeqNum, Instant)>,
    pub(crate) congestion: Congestion,
    pub(crate) recovery: Recovery,
    #[cfg(feature = "sack")]
    pub(crate) selective: Selective,
    #[cfg(feature = "bbr")]
    pub(crate) pacing: super::pacing::Pacing,
    pub(crate) timers: TimerTable,
    pub(crate) negotiated: Negotiated,
    pub(crate) settings: Settings,
    /// What goes in front of its segments.
    pub(crate) head: Head,
    pub(crate) ecn: EcnState,
    pub(crate) path: PathMtu,
    pub(crate) tune: AutoTune,
    pub(crate) counters: Counters,
    /// Keepalive probes sent since the peer was last heard.
    pub(crate) keepalive_probes: u8,
    pub(crate) poll_interval: u8,
    pub(crate) pending: Pending,
    /// The listener whose backlog this connection counts against.
    pub(crate) backlog: Option<TcpListener>,
    /// The place in the backlog is held beyond the accept callback.
    pub(crate) accept_delayed: bool,
    pub(crate) challenges: Limiter,
    /// Transmit the SYN (again).
    pub(crate) syn_due: bool,
    /// Transmit although Nagle or the window says no: `tcp_output`, or the persist timer.
    pub(crate) force: Force,
    pub(crate) keepalive_due: bool,
    /// Something was sent that timers have to look after.
    pub(crate) timers_due: bool,
    /// The application closed its side with `shutdown` for reading: data resets.
    pub(crate) read_shut: bool,
    /// The application closed: FIN-WAIT-2 is limited.
    pub(crate) closed: bool,
    pub(crate) last_sent: Instant,
    pub(crate) last_heard: Instant,
}

/// Reasons to send in spite of a rule that would wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Force {
    No,
    /// The application asked for the last small segment to leave (`tcp_output`).
    Flush,
    /// The override timer of sender SWS avoidance, or a probe of a closed window.
    Probe,
}

impl Pcb {
    /// A block in no use; also what a new one starts from.
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "a value to start from, copied at each use"
    )]
    pub(crate) const UNUSED: Self = Self {
        owner: Owner(0),
        arg: 0,
        attached: Attached::Yes,
        life: Life::Alive,
        local: NO_ADDR,
        remote: NO_ADDR,
        state: State::Closed,
        snd: Sender::UNUSED,
        rcv: Receiver::UNUSED,
        rtt: Rtt::UNUSED,
        timed: None,
        congestion: Congestion::UNUSED,
        recovery: Recovery::NONE,
        #[cfg(feature = "sack")]
        selective: Selective::OFF,
        #[cfg(feature = "bbr")]
        pacing: super::pacing::Pacing::OFF,
        timers: TimerTable::STOPPED,
        negotiated: Negotiated {
            timestamps: None,
            sack: false,
            window_scaling: false,
        },
        settings: Settings::NONE,
        head: Head::NONE,
        ecn: EcnState::OFF,
        path: PathMtu::NEW,
        tune: AutoTune::NEW,
        counters: Counters::ZERO,
        keepalive_probes: 0,
        poll_interval: 0,
        pending: Pending {
            accept: None,
            connected: false,
            acked: 0,
            poll: false,
            refused: false,
        },
        backlog: None,
        accept_delayed: false,
        challenges: Limiter::FULL,
        syn_due: false,
        force: Force::No,
        keepalive_due: false,
        timers_due: false,
        read_shut: false,
        closed: false,
        last_sent: Instant::ZERO,
        last_heard: Instant::ZERO,
    };

    /// Payload bytes of a full segment, with the options every segment of the connection carries.
    pub(crate) fn effective_mss(&self) -> u32 {
        self.snd.full
    }

    /// The segment size or the options of all segments have changed.
    pub(crate) fn fit_segments(&mut self) {
        // RFC 6691 §2: the MSS option does not count options.
        self.snd.full = u32::from(self.snd.mss)
            .saturating_sub(self.options_len())
            .max(1);
    }

    /// Bytes of options that every segment carries.
    pub(crate) fn options_len(&self) -> u32 {
        match self.negotiated.timestamps {
            Some(_) => 12,
            None => 0,
        }
    }

    /// Whether both sides have synchronized (RFC 9293 §3.4).
    pub(crate) fn is_synchronized(&self) -> bool {
        !matches!(
            self.state,
            State::Closed | State::SynSent | State::SynReceived
        )
    }

    /// Whether the application may still write.
    pub(crate) fn can_write(&self) -> Result<(), Error> {
        match self.state {
            State::Closed => Err(Error::NotConnected),
            _ if self.snd.fin != Fin::Open || self.life != Life::Alive => Err(Error::Closed),
            _ => Ok(()),
        }
    }

    /// Whether an event waits for the application.
    pub(crate) fn has_events(&self) -> bool {
        self.attached == Attached::Yes
            && (self.has_news()
                || (!self.pending.refused && (self.has_stream_news() || self.life != Life::Alive)))
    }

    /// Whether something is left to tell, should the connection end now: else its block is free.
    pub(crate) fn has_to_tell(&self) -> bool {
        self.attached == Attached::Yes && (self.has_news() || self.has_stream_news())
    }

    /// Whether something besides the stream waits.
    fn has_news(&self) -> bool {
        let p = &self.pending;
        p.accept.is_some() || p.connected || p.acked > 0 || p.poll
    }

    /// Whether data or the end of stream waits.
    pub(crate) fn has_stream_news(&self) -> bool {
        !self.rcv.queue.is_empty() || self.rcv.fin == PeerFin::Arrived
    }

    /// The connection is over; what was received and not delivered stays for the application.
    pub(crate) fn end(&mut self, life: Life, runs: &mut Runs) {
        self.state = State::Closed;
        self.life = life;
        self.snd.queue.clear();
        runs.clear(&mut self.rcv.runs);
        self.timers = TimerTable::STOPPED;
        // What was refused is offered now, and then as before.
        self.pending.refused = false;
        self.rcv.ack = super::receive::AckDue::No;
        self.syn_due = false;
        self.keepalive_due = false;
        self.recovery = Recovery::NONE;
    }

    /// The value of our timestamp clock: milliseconds, offset for each connection
    /// (RFC 7323 §5.4).
    pub(crate) fn timestamp(offset: u32, now: Instant) -> u32 {
        (now.as_millis() as u32).wrapping_add(offset)
    }

    /// The options of a segment other than a SYN.
    pub(crate) fn options(&self, runs: &Runs, now: Instant) -> Options {
        let mut options = Options {
            timestamps: self.timestamps(now),
            ..Options::default()
        };
        if !self.negotiated.sack {
            return options;
        }
        if let Some(duplicate) = self.rcv.duplicate {
            // RFC 2883 §4: before the blocks of RFC 2018.
            let _ = options.sack.push(duplicate);
        }
        if !self.rcv.runs.is_empty() {
            // RFC 2018 §4: the block of the segment that arrived last comes first.
            let newest = runs.newest_range(&self.rcv.runs);
            let others = runs
                .ranges(&self.rcv.runs)
                .filter(|range| Some(*range) != newest);
            // A FIN alone takes no room in the stream.
            let blocks = newest.into_iter().chain(others);
            for (left, right) in blocks.filter(|(left, right)| left != right) {
                if options.sack.push(SackBlock { left, right }).is_none() {
                    break;
                }
            }
        }
        options
    }

    /// Whether a segment sent now, other than a SYN, has options.
    pub(crate) fn has_options(&self) -> bool {
        self.negotiated.timestamps.is_some()
            || self.rcv.duplicate.is_some()
            || !self.rcv.runs.is_empty()
    }

    /// Writes the options of a segment other than a SYN to the front of `room`; returns how many
    /// bytes they are.
    pub(crate) fn write_options(
        &self,
        runs: &Runs,
        now: Instant,
        room: &mut [u8; MAX_LEN],
    ) -> usize {
        let plain = self.rcv.duplicate.is_none() && self.rcv.runs.is_empty();
        match self.timestamps(now) {
            None if plain => 0,
            Some(timestamps) if plain => {
                let bytes = timestamps.bytes();
                if let Some(room) = room.first_chunk_mut() {
                    *room = bytes;
                }
                bytes.len()
            }
            // There is room for all options.
            _ => self.options(runs, now).emit(room).unwrap_or(0),
        }
    }

    /// The timestamps of a segment sent now, if they are in use.
    fn timestamps(&self, now: Instant) -> Option<Timestamps> {
        self.negotiated.timestamps.map(|offset| Timestamps {
            value: Self::timestamp(offset, now),
            echo: self.rcv.ts_recent,
        })
    }

    /// (Re)starts the timer of `poll`.
    pub(crate) fn start_poll_timer(&mut self, now: Instant) {
        if self.poll_interval == 0 || self.attached == Attached::Orphan {
            self.timers.stop(Timer::Poll);
        } else {
            let half_seconds = u64::from(self.poll_interval);
            self.timers.start(
                Timer::Poll,
                now,
                core::time::Duration::from_millis(500 * half_seconds),
            );
        }
    }

    /// Starts or stops the keepalive timer after the peer was heard or the setting changed.
    pub(crate) fn start_keepalive_timer(&mut self, now: Instant) {
        self.keepalive_probes = 0;
        self.keepalive_due = false;
        match self.settings.keepalive {
            Some(keepalive) if self.is_synchronized() => {
                self.timers.start(Timer::Keepalive, now, keepalive.idle);
            }
            _ => self.timers.stop(Timer::Keepalive),
        }
    }

    /// Gives the peer's first window and segment size their places; `config` caps them.
    pub(crate) fn apply_syn_options(&mut self, options: &Options, config: &TcpConfig) {
        if let Some(mss) = options.mss {
            // A peer that asks for tiny segments would have us send 20 times the packets:
            // the floor is Linux's.
            self.snd.mss = self.snd.mss.min(mss.max(super::MIN_MSS));
        } else {
            // RFC 9293 §3.7.1: 536 when the option is absent (MUST-15).
            self.snd.mss = self.snd.mss.min(super::DEFAULT_MSS);
        }
        // RFC 7323 §2.2: scaling counts only if both SYNs carry it.
        match options.window_scale {
            Some(shift) if config.window_scaling == crate::config::Use::On => {
                self.snd.shift = shift;
                self.negotiated.window_scaling = true;
            }
            _ => (self.snd.shift, self.rcv.shift) = (0, 0),
        }
        self.negotiated.sack = options.sack_permitted && config.sack == crate::config::Use::On;
        if options.timestamps.is_none() {
            self.negotiated.timestamps = None;
        }
        self.fit_segments();
    }
}
