//! What endpoints of all datagram protocols have in common: from the outbox to the engine, and from
//! the engine to the inbox.
use gannet_core::{Error as CoreError, HearsErrors, IcmpReport, Pbuf, Stack};

use super::Service;
use crate::control::Kind;
use crate::datagram::{About, Datagram};
use crate::error::Error;
use crate::settings::Settings;
use crate::shared::{Attached, NO_ADDR, Requests};

/// A datagram that was not sent.
pub(super) struct Refused {
    error: Error,
    /// It can be tried again.
    held: Option<Datagram>,
}

impl Refused {
    pub(super) fn new(error: CoreError, data: Option<Pbuf>, about: About) -> Self {
        Self {
            error: error.into(),
            // A full device, or no header buffer: that passes.
            held: data
                .filter(|_| error == CoreError::NoMemory)
                .map(|data| Datagram { data, about }),
        }
    }
}

pub(super) fn hears_errors(settings: &Settings) -> HearsErrors {
    match settings.recv_errors {
        true => HearsErrors::OfAll,
        false => HearsErrors::OfPeer,
    }
}

impl Service {
    /// Does what threads asked for the endpoint, closing apart.
    pub(super) fn serve_datagrams(&self, stack: &mut Stack, index: u16, asked: Requests) {
        if asked.contains(Requests::SEND)
            && let Err(error) = self.send_all(stack, index)
        {
            self.tell(index, error);
        }
    }

    /// Sends the datagrams queued now; the outcome of the last one. What there is no buffer for
    /// stays in the queue. An endpoint of UDP without a control block gets one.
    pub(super) fn send_all(&self, stack: &mut Stack, index: u16) -> Result<(), Error> {
        let queued = self
            .net
            .with(index, |shared, _| (shared.outbox.len(), shared.kind));
        let queued = match queued {
            None | Some((0, _)) => return Ok(()),
            Some((queued, Kind::Udp)) => {
                if let Err(error) = self.udp_pcb(stack, index) {
                    self.drop_outbox(index);
                    return Err(error);
                }
                queued
            }
            Some((queued, _)) => queued,
        };
        let attached = self.attached(index);
        let mut outcome = Ok(());
        for _ in 0..queued {
            let next = self.net.with(index, |shared, cs| {
                self.net.datagrams.pop(cs, &mut shared.outbox)
            });
            let Some(Some(datagram)) = next else { break };
            let to = datagram.about.peer;
            let sent = self.send_one(stack, attached, datagram);
            let local = match attached {
                Attached::Udp(pcb) => stack.udp_now().local_addr(pcb).ok(),
                _ => None,
            };
            let held = match sent {
                Ok(()) => {
                    outcome = Ok(());
                    None
                }
                Err(Refused { held: None, error }) => {
                    outcome = Err(error);
                    None
                }
                Err(Refused { held, .. }) => {
                    outcome = Ok(());
                    held
                }
            };
            let waits = held.is_some();
            // What does not even fit the queue any more is lost.
            let lost = self.net.with(index, |shared, cs| {
                if outcome.is_ok() {
                    shared.reachable = to;
                } else if shared.reachable == to {
                    shared.reachable = NO_ADDR;
                }
                if let Some(local) = local {
                    shared.local = local;
                }
                let held = held?;
                self.net
                    .datagrams
                    .push_front(cs, &mut shared.outbox, held)
                    .err()
            });
            drop(lost);
            if waits {
                self.net.shortage.begins();
                break;
            }
        }
        outcome
    }

    fn send_one(
        &self,
        stack: &mut Stack,
        attached: Attached,
        datagram: Datagram,
    ) -> Result<(), Refused> {
        match attached {
            Attached::Udp(pcb) => self.send_udp(&mut stack.udp_now(), pcb, datagram),
            #[cfg(feature = "raw")]
            Attached::Raw(pcb) => self.send_raw(&mut stack.raw_now(), pcb, datagram),
            #[cfg(feature = "packet")]
            Attached::Packet(pcb) => self.send_frame(&mut stack.packets_now(), pcb, datagram),
            Attached::Nothing | Attached::Tcp(_) | Attached::Listener(_) => Err(Refused {
                error: Error::Invalid,
                held: None,
            }),
        }
    }

    fn drop_outbox(&self, index: u16) {
        while let Some(Some(datagram)) = self.net.with(index, |shared, cs| {
            self.net.datagrams.pop(cs, &mut shared.outbox)
        }) {
            drop(datagram);
        }
    }

    /// Leaves a received datagram for the application.
    pub(super) fn deliver(&self, index: u16, datagram: Datagram) {
        // What does not fit is freed outside the critical section.
        let dropped = self.net.update(index, |shared, cs| {
            if shared.read_shut {
                return Some(datagram);
            }
            let refused = match shared.has_inbox_room(&datagram.data) {
                true => self.net.datagrams.push(cs, &mut shared.inbox, datagram),
                false => Err(datagram),
            };
            let back = refused.err()?;
            shared.dropped = shared.dropped.wrapping_add(1);
            Some(back)
        });
        drop(dropped);
    }

    /// Leaves an error for the next call.
    pub(super) fn tell(&self, index: u16, error: Error) {
        self.net
            .update(index, |shared, _| shared.error = Some(error));
    }

    /// Leaves an ICMP error for the next call, and all that is known of it for who wants to look.
    pub(super) fn report(&self, index: u16, report: IcmpReport) {
        self.net.update(index, |shared, cs| {
            shared.error = Some(report.error.into());
            if shared.settings.recv_errors {
                self.net.icmp_errors.push(cs, shared.attached, report);
            }
        });
    }

    /// The slot that an endpoint names with its argument; `None` if it is closing.
    pub(super) fn named(&self, arg: Result<usize, CoreError>, attached: Attached) -> Option<u16> {
        let index = arg.ok().and_then(|arg| u16::try_from(arg).ok())?;
        (self.attached(index) == attached).then_some(index)
    }
}
