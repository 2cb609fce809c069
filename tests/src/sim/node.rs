//! What the world wants of a host, whatever its stack is.
use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use gannet_core::Instant;
use gannet_core::netif::Link;

use super::ledger::Ledger;
use super::plan::{Plan, Which};
use crate::wire::Wire;

/// Which host it is, in which scenario.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its number.
    pub n: usize,
    /// The scenario.
    pub plan: Rc<Plan>,
    /// What was sent and received.
    pub ledger: Rc<RefCell<Ledger>>,
}

/// A host. All times are the world's; its own clock may be ahead.
pub trait Node: Debug {
    /// Its device.
    fn wire(&self) -> &Wire;

    /// When it wants a turn.
    fn next_event(&self) -> Option<Instant>;

    /// Whether a turn is due.
    fn wants_turn(&self, now: Instant) -> bool;

    /// Application and stack do what is due.
    ///
    /// # Errors
    /// Something that must hold does not.
    fn turn(&mut self, now: Instant) -> Result<(), String>;

    /// Starts anew: stack and application forget everything. The device is another.
    fn reboot(&mut self, seed: u64, now: Instant);

    /// Somebody takes all but `leave` blocks of a pool, or gives back what was taken.
    fn hog(&mut self, which: Which, leave: Option<usize>);

    /// Its clock goes forward; its application does not lose patience for that.
    fn jump(&mut self, by: Duration);

    /// Pulls its cable, or plugs it in.
    fn set_link(&mut self, link: Link);

    /// Its device takes only so many frames more.
    fn set_room(&mut self, room: Option<usize>);

    /// Its application has done everything, and no connection is left.
    fn is_finished(&self) -> bool;

    /// Closes what it listens on.
    fn shut_down(&mut self, now: Instant);

    /// What is left of connections, buffers and timers, if anything.
    fn unrest(&self) -> Option<String>;

    /// Gives back what later runs can use.
    fn put_away(self: Box<Self>);
}
