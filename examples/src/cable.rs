//! A cable that is pulled out now and then: a device whose link goes down.
use core::time::Duration;

use gannet_core::{Capabilities, Driver, Instant, Pbuf};

/// How long it is out.
const OUT: Duration = Duration::from_secs(1);

/// The device `inner` on a cable that is out for a second at the end of each `period`.
pub(crate) struct LooseCable {
    inner: Box<dyn Driver>,
    period: Duration,
    now: fn() -> Instant,
}

impl LooseCable {
    pub(crate) fn new(inner: Box<dyn Driver>, period: Duration, now: fn() -> Instant) -> Self {
        Self { inner, period, now }
    }

    fn is_in(&self) -> bool {
        let period = self.period.as_micros().max(1);
        let into = u128::from((self.now)().as_micros()) % period;
        into < period.saturating_sub(OUT.as_micros())
    }
}

impl Driver for LooseCable {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn link_up(&mut self) -> bool {
        self.inner.link_up() && self.is_in()
    }

    /// What arrives at the end of a cable that is out is lost.
    fn receive(&mut self) -> Option<Pbuf> {
        loop {
            let frame = self.inner.receive()?;
            if self.is_in() {
                return Some(frame);
            }
        }
    }

    fn can_transmit(&mut self) -> bool {
        self.inner.can_transmit()
    }

    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        if self.is_in() {
            self.inner.transmit(frame)
        } else {
            Err(frame)
        }
    }

    fn transmit_large(&mut self, frame: Pbuf, mss: u16) -> Result<(), Pbuf> {
        if self.is_in() {
            self.inner.transmit_large(frame, mss)
        } else {
            Err(frame)
        }
    }
}
