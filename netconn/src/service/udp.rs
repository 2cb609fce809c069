//! UDP endpoints between slot and engine.
use core::num::NonZeroU8;

use gannet_core::udp::{Broadcast, Datagram as CoreDatagram};
use gannet_core::{Error as CoreError, Pbuf, Udp, UdpPcb};

use super::Service;
use crate::datagram::Datagram;
use crate::error::Error;
use crate::settings::Settings;
use crate::shared::{Attached, Requests, Shared};

impl Service {
    /// Does what threads asked for the endpoint, closing apart.
    pub(super) fn serve_udp(&self, udp: &mut Udp<'_>, index: u16, pcb: UdpPcb, asked: Requests) {
        if asked.contains(Requests::SEND)
            && let Err(error) = self.send_all(udp, index, pcb)
        {
            self.net
                .update(index, |shared, _| shared.error = Some(error));
        }
    }

    pub(super) fn apply_udp(&self, udp: &mut Udp<'_>, pcb: UdpPcb, settings: Settings) {
        let broadcast = if settings.broadcast {
            Broadcast::Allowed
        } else {
            Broadcast::Denied
        };
        // Only a stale handle fails, or hops of 0 and interfaces that are none: they change nothing.
        let _ = udp.broadcast(pcb, broadcast);
        let _ = udp.ttl(pcb, settings.ttl.map(NonZeroU8::get));
        let _ = udp.multicast_ttl(pcb, settings.multicast_ttl);
        let _ = udp.multicast_loop(pcb, settings.multicast_loop);
        let _ = udp.multicast_interface(pcb, settings.multicast_interface);
        let _ = udp.tos(pcb, settings.tos);
    }

    /// Sends the datagrams queued now; the outcome of the last one.
    pub(super) fn send_all(&self, udp: &mut Udp<'_>, index: u16, pcb: UdpPcb) -> Result<(), Error> {
        let queued = self
            .net
            .with(index, |shared, _| shared.outbox.len())
            .unwrap_or(0);
        let mut outcome = Ok(());
        for _ in 0..queued {
            let next = self.net.with(index, |shared, cs| {
                self.net.datagrams.pop(cs, &mut shared.outbox)
            });
            let Some(Some(datagram)) = next else { break };
            let to = datagram.peer;
            outcome = udp
                .send_to(pcb, datagram.data, to)
                .map_err(|refused| refused.error.into());
            let local = udp.local_addr(pcb);
            self.net.with(index, |shared, _| {
                if outcome.is_ok() {
                    shared.reachable = to;
                } else if shared.reachable == to {
                    shared.reachable = crate::shared::NO_ADDR;
                }
                if let Ok(local) = local {
                    shared.local = local;
                }
            });
        }
        outcome
    }

    pub(super) fn drop_outbox(&self, index: u16) {
        while let Some(Some(datagram)) = self.net.with(index, |shared, cs| {
            self.net.datagrams.pop(cs, &mut shared.outbox)
        }) {
            drop(datagram);
        }
    }

    pub(super) fn datagram_received(&self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: CoreDatagram) {
        let Some(index) = self.endpoint(udp, pcb) else {
            return;
        };
        let datagram = Datagram {
            data: datagram.data,
            peer: datagram.from,
            local: datagram.to,
            tos: datagram.tos,
            at: crate::sys::now(),
        };
        // What does not fit is freed outside the critical section.
        let dropped = self.net.update(index, |shared, cs| {
            if shared.read_shut {
                return Some(datagram);
            }
            if shared.has_inbox_room(&datagram.data) {
                match self.net.datagrams.push(cs, &mut shared.inbox, datagram) {
                    Ok(()) => return None,
                    Err(back) => {
                        shared.dropped = shared.dropped.wrapping_add(1);
                        return Some(back);
                    }
                }
            }
            shared.dropped = shared.dropped.wrapping_add(1);
            Some(datagram)
        });
        drop(dropped);
    }

    pub(super) fn datagram_refused(&self, udp: &mut Udp<'_>, pcb: UdpPcb, error: CoreError) {
        if let Some(index) = self.endpoint(udp, pcb) {
            self.net
                .update(index, |shared, _| shared.error = Some(error.into()));
        }
    }

    /// The slot of an endpoint; `None` if it is closing.
    fn endpoint(&self, udp: &Udp<'_>, pcb: UdpPcb) -> Option<u16> {
        let index = udp
            .arg_of(pcb)
            .ok()
            .and_then(|arg| u16::try_from(arg).ok())?;
        (self.attached(index) == Attached::Udp(pcb)).then_some(index)
    }
}

impl Shared {
    /// Whether a datagram may wait to be received; the first one always may.
    fn has_inbox_room(&self, data: &Pbuf) -> bool {
        let bytes = u64::from(self.inbox.bytes()) + data.tot_len() as u64;
        let limit = self
            .settings
            .recv_buffer
            .map_or(u64::MAX, |bytes| bytes.get().into());
        let fits = bytes <= limit || self.inbox.is_empty();
        fits && self.inbox.len() < self.settings.recv_queue
    }
}
