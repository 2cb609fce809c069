//! What applications are told: all there is about one connection, then the next. Who tells them is
//! `handler`.
use crate::handle::{Owner, RawHandle, TcpPcb};

use super::Event;
use super::engine::Engine;
use super::pcb::{Attached, Life, Pcb};
use super::receive::PeerFin;

impl Engine {
    /// The next thing to tell an application: all there is about one connection, then the next.
    pub(crate) fn next_event(&mut self) -> Option<(Owner, Event)> {
        loop {
            let index = match self.telling {
                Some(index) => index,
                None => self.events.pop(self.slots, |slot| &mut slot.events)?,
            };
            self.telling = None;
            let Some(slot) = self.slots.get_mut(usize::from(index)) else {
                continue;
            };
            let pcb = &mut slot.pcb;
            if !slot.used || pcb.attached == Attached::Orphan {
                continue;
            }
            let handle = TcpPcb(RawHandle {
                slot: index,
                generation: slot.generation,
            });
            let owner = pcb.owner;
            if let Some(event) = take_event(pcb, handle) {
                // What the application does may add to it, which puts it on the list again.
                if pcb.life != Life::Alive || pcb.has_events() {
                    self.telling = Some(index);
                }
                // Taking data may have changed the window.
                self.settle_output(index);
                return Some((owner, event));
            }
            // Nothing left to tell: an ended connection's block is free now.
            match pcb.life {
                Life::Alive => {}
                Life::Ended => {
                    if !pcb.has_stream_news() {
                        self.free(index);
                    }
                }
                // Data that came before the error and was refused is offered first.
                Life::Failed(_) if !pcb.rcv.queue.is_empty() => {}
                Life::Failed(error) => {
                    self.free(index);
                    return Some((owner, Event::Err { pcb: handle, error }));
                }
            }
        }
    }
}

/// Order of the raw API: accepted or connected, data, sent, end of stream, poll.
fn take_event(pcb: &mut Pcb, handle: TcpPcb) -> Option<Event> {
    let pending = &mut pcb.pending;
    if let Some(listener) = pending.accept.take() {
        return Some(Event::Accept {
            listener,
            pcb: handle,
        });
    }
    if core::mem::take(&mut pending.connected) {
        return Some(Event::Connected { pcb: handle });
    }
    if !pending.refused
        && let Some(data) = pcb.rcv.queue.take_all()
    {
        // Counted as unread until `recved`; bounded by the window.
        let len = u32::try_from(data.tot_len()).unwrap_or(u32::MAX);
        pcb.rcv.unread = pcb.rcv.unread.saturating_add(len);
        return Some(Event::Recv {
            pcb: handle,
            data: Some(data),
        });
    }
    if pending.acked > 0 {
        let len = core::mem::take(&mut pending.acked);
        return Some(Event::Sent { pcb: handle, len });
    }
    if pcb.rcv.queue.is_empty() && pcb.rcv.fin == PeerFin::Arrived {
        pcb.rcv.fin = PeerFin::Told;
        return Some(Event::Recv {
            pcb: handle,
            data: None,
        });
    }
    if core::mem::take(&mut pending.poll) && pcb.life == Life::Alive {
        return Some(Event::Poll { pcb: handle });
    }
    None
}
