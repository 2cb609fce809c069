//! Options of a connection that an application can set at any time, and making a block.
use core::net::SocketAddr;

use crate::error::Error;
use crate::handle::{Owner, TcpListener, TcpPcb};
use crate::time::Instant;

use super::congestion::CongestionControl;
use super::engine::Engine;
use super::stats::TcpStats;
use super::{Keepalive, Nagle};

impl Engine {
    pub(super) fn create(&mut self, owner: Owner) -> Result<TcpPcb, Error> {
        let index = self.allocate(owner)?;
        self.handle(index).ok_or(Error::NoMemory)
    }

    pub(super) fn set_nagle(&mut self, handle: TcpPcb, nagle: Nagle) -> Result<(), Error> {
        let index = self.index(handle)?;
        self.pcb_mut(handle)?.nagle = nagle;
        self.settle(index);
        Ok(())
    }

    pub(super) fn set_congestion(
        &mut self,
        handle: TcpPcb,
        algorithm: CongestionControl,
    ) -> Result<(), Error> {
        let pcb = self.pcb_mut(handle)?;
        pcb.algorithm = algorithm;
        pcb.congestion.switch(algorithm);
        Ok(())
    }

    pub(super) fn set_keepalive(
        &mut self,
        handle: TcpPcb,
        keepalive: Option<Keepalive>,
        now: Instant,
    ) -> Result<(), Error> {
        let index = self.index(handle)?;
        let pcb = self.pcb_mut(handle)?;
        pcb.keepalive = keepalive;
        pcb.start_keepalive_timer(now);
        self.settle(index);
        Ok(())
    }

    pub(super) fn set_poll(
        &mut self,
        handle: TcpPcb,
        interval: u8,
        now: Instant,
    ) -> Result<(), Error> {
        let index = self.index(handle)?;
        let pcb = self.pcb_mut(handle)?;
        pcb.poll_interval = interval;
        if pcb.is_synchronized() {
            pcb.start_poll_timer(now);
        }
        self.settle(index);
        Ok(())
    }

    pub(super) fn listener_addr(&self, listener: TcpListener) -> Result<SocketAddr, Error> {
        self.listeners
            .get(usize::from(listener.0.slot))
            .filter(|slot| slot.is(listener.0.generation))
            .map(|slot| slot.local.into())
            .ok_or(Error::Closed)
    }

    pub(crate) fn stats(&self) -> &TcpStats {
        &self.stats
    }

    /// Connections, half-open ones, and those in TIME-WAIT.
    pub(crate) fn census(&self) -> (usize, usize, usize) {
        (self.used(), self.syns.len(), self.time_waits.len())
    }
}
