//! Explicit congestion notification (RFC 3168 §6.1): who agreed to it, what is marked, and what is
//! echoed. How the congestion window answers is in `congestion`.
use crate::config::{TcpConfig, Use};
use crate::wire::ipv4::Ecn;
use crate::wire::tcp::{Flags, SeqNum};

use super::output::{Kind, Plan};
use super::pcb::{Force, Pcb};
use super::segment::Arrived;

/// The two bits of the TOS byte (RFC 3168 §5).
pub(crate) const TOS_MASK: u8 = 0b11;
/// CE: a router on the way is congested.
const CE: u8 = 0b11;

/// Both flags in a SYN are the offer (RFC 3168 §6.1.1, "ECN-setup SYN packet").
const SETUP: [Flags; 2] = [Flags::ECE, Flags::CWR];

/// ECN state of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EcnState {
    /// Both sides agreed.
    pub(crate) agreed: bool,
    /// A mark arrived, and the peer has not said that it slowed down.
    echo: bool,
    /// The segment being processed echoes a mark: the congestion window does not grow by it
    /// (RFC 3168 §6.1.2).
    pub(crate) echoed: bool,
    /// We slowed down: the next new data says so.
    reduced: bool,
    /// Echoes of what was sent before this number mean the reduction already made.
    recover: Option<SeqNum>,
    /// Segments received with a mark.
    pub(crate) marks: u32,
}

impl EcnState {
    pub(crate) const OFF: Self = Self {
        agreed: false,
        echo: false,
        echoed: false,
        reduced: false,
        recover: None,
        marks: 0,
    };
}

impl EcnState {
    /// Whether the segments sent now have no flags for its sake.
    pub(super) fn is_silent(&self) -> bool {
        !(self.echo || self.reduced)
    }

    /// Whether a segment without ECN's flags, in a packet with `tos`, says nothing.
    pub(super) fn is_quiet(&self, tos: u8) -> bool {
        !self.agreed || (tos & TOS_MASK != CE && !self.echoed && self.recover.is_none())
    }
}

/// Whether ECN is built in and configured.
pub(crate) fn is_used(config: &TcpConfig) -> bool {
    cfg!(feature = "ecn") && config.ecn == Use::On
}

/// Whether a SYN offers ECN: both flags (RFC 3168 §6.1.1).
pub(crate) fn is_offered(syn: &Arrived, config: &TcpConfig) -> bool {
    is_used(config) && SETUP.iter().all(|flag| syn.flags.contains(*flag))
}

/// The flags of a SYN,ACK that accepts: ECE without CWR (RFC 3168 §6.1.1).
pub(crate) fn answer(agreed: bool) -> Flags {
    if agreed { Flags::ECE } else { Flags::NONE }
}

impl Pcb {
    /// The flags that go on the SYN or SYN,ACK to send.
    pub(super) fn ecn_of_syn(&self, answers: bool, config: &TcpConfig) -> Flags {
        if answers {
            return answer(self.ecn.agreed);
        }
        // RFC 3168 §6.1.1.1: a SYN sent again does without, for the sake of paths that lose the
        // flags' SYN.
        if is_used(config) && self.recovery.attempts == 0 {
            Flags::ECE | Flags::CWR
        } else {
            Flags::NONE
        }
    }

    /// The peer's SYN or SYN,ACK arrived in SYN-SENT.
    pub(super) fn ecn_of_peers_syn(&mut self, syn: &Arrived, config: &TcpConfig) {
        self.ecn.agreed = match syn.ack {
            // RFC 3168 §6.1.1: who sent a SYN without the flags must not use ECN.
            Some(_) => {
                is_used(config)
                    && self.recovery.attempts == 0
                    && syn.flags.contains(Flags::ECE)
                    && !syn.flags.contains(Flags::CWR)
            }
            None => is_offered(syn, config),
        };
    }

    /// An acceptable segment arrived: what it says about congestion.
    pub(super) fn take_ecn(&mut self, ack: SeqNum, segment: &Arrived) {
        if !self.ecn.agreed {
            return;
        }
        if segment.len > 0 {
            // RFC 3168 §6.1.3: CWR ends the echo; a mark on the same segment begins a new one.
            if segment.flags.contains(Flags::CWR) {
                self.ecn.echo = false;
            }
            if segment.tos & TOS_MASK == CE {
                self.ecn.echo = true;
                self.ecn.marks = self.ecn.marks.wrapping_add(1);
            }
        }
        // RFC 3168 §6.1.2: once for each window of data, and not on top of a loss's reduction.
        if self.ecn.recover.is_some_and(|recover| ack.after(recover)) {
            self.ecn.recover = None;
        }
        self.ecn.echoed = segment.flags.contains(Flags::ECE);
        if self.ecn.echoed && self.ecn.recover.is_none() && self.snd.in_flight() > 0 {
            if !self.recovery.in_recovery() {
                let (flight, mss) = (self.snd.in_flight(), self.effective_mss());
                self.congestion.ecn_echo(flight, mss);
            }
            self.ecn.recover = Some(self.snd.nxt);
            self.ecn.reduced = true;
        }
    }

    /// The flags and the ECN bits of a segment to send.
    pub(super) fn ecn_of(&self, plan: &Plan) -> (Flags, Ecn) {
        if !self.ecn.agreed || plan.kind == Kind::Syn {
            return (Flags::NONE, Ecn::NotEct);
        }
        let mut flags = answer(self.ecn.echo);
        // RFC 3168 §6.1.4 to §6.1.6: not on acknowledgements, retransmissions, window probes.
        let new_data = plan.kind == Kind::New && plan.len > 0 && self.force != Force::Probe;
        if new_data && self.ecn.reduced {
            flags = flags | Flags::CWR;
        }
        (flags, if new_data { Ecn::Ect0 } else { Ecn::NotEct })
    }

    /// Whether the next new data has CWR.
    pub(super) fn must_tell_cwr(&self) -> bool {
        self.ecn.agreed && self.ecn.reduced
    }

    /// A segment with these flags was sent.
    pub(super) fn ecn_sent(&mut self, flags: Flags) {
        if flags.contains(Flags::CWR) {
            self.ecn.reduced = false;
        }
    }
}
