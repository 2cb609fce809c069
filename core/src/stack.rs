//! The stack: all protocols of one host, and one turn of its thread.
//!
//! ```text
//! frames, due timers -> input -> dispatch (callbacks) -> output -> next deadline
//! ```
use crate::handler::Handler;
use crate::tcp::Tcp;
use crate::time::Instant;
use crate::udp::Udp;

/// A TCP/IP host. Owned by one thread; several can live in one process.
#[derive(Debug)]
pub struct Stack {
    now: Instant,
}

impl Stack {
    /// One turn at time `now`: takes received frames from the drivers (a bounded number), runs
    /// due timers, calls the handlers, sends.
    ///
    /// Returns when to call again at the latest: `None` is "only when something happens" (a
    /// frame, a doorbell), a moment not later than `now` is "at once, more frames wait".
    pub fn turn(&mut self, now: Instant, handlers: &mut [&mut dyn Handler]) -> Option<Instant> {
        todo!()
    }

    /// Time of the current turn.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The raw TCP API, between turns.
    pub fn tcp(&mut self, now: Instant) -> Tcp<'_> {
        todo!()
    }

    /// The raw UDP API, between turns.
    pub fn udp(&mut self, now: Instant) -> Udp<'_> {
        todo!()
    }

    pub(crate) fn tcp_at_turn(&mut self) -> Tcp<'_> {
        todo!()
    }

    pub(crate) fn udp_at_turn(&mut self) -> Udp<'_> {
        todo!()
    }

    pub(crate) fn tcp_event(&mut self) -> Option<(crate::Owner, crate::tcp::Event)> {
        todo!()
    }

    pub(crate) fn udp_event(&mut self) -> Option<(crate::Owner, crate::udp::UdpEvent)> {
        todo!()
    }
}
