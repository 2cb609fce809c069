//! What applications are told: all there is about one connection, then the next. Who tells them is
//! `handler`.
use crate::handle::{Owner, TcpPcb};
use crate::pbuf::Pbuf;

use super::Event;
use super::engine::Engine;
use super::pcb::{Attached, Life, Pcb};
use super::receive::PeerFin;

/// Whether there is something new to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    None,
    Some,
}

/// What there usually is to tell of a connection: data that came, and then how much of what was
/// written arrived.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) owner: Owner,
    pub(crate) pcb: TcpPcb,
    pub(crate) data: Option<Pbuf>,
    /// Bytes; may be 0.
    pub(crate) acked: usize,
}

impl Engine {
    /// The next connection of which there is something to tell: [`Engine::take_progress`] if that
    /// is all, else [`Engine::next_event`] until there is nothing left.
    #[inline]
    pub(crate) fn next_with_events(&mut self) -> Option<u16> {
        self.events.pop(self.slots, |slot| &mut slot.events)
    }

    /// All there is to tell of connection `index`; `None`, taking nothing, if there is more than
    /// progress, or nobody to tell.
    #[inline]
    pub(crate) fn take_progress(&mut self, index: u16) -> Option<Progress> {
        let slot = self.slots.get_mut(usize::from(index))?;
        let (handle, used) = (slot.handle(index), slot.used);
        let pcb = &mut slot.pcb;
        if !used || !pcb.tells_progress_only() {
            return None;
        }
        Some(Progress {
            owner: pcb.owner,
            pcb: handle,
            data: pcb.take_data_to_tell(),
            acked: core::mem::take(&mut pcb.pending.acked),
        })
    }

    /// The next thing to tell of connection `index`.
    pub(crate) fn next_event(&mut self, index: u16) -> Option<(Owner, Event)> {
        let slot = self.slots.get_mut(usize::from(index))?;
        let handle = slot.handle(index);
        let pcb = &mut slot.pcb;
        if !slot.used || pcb.attached == Attached::Orphan {
            return None;
        }
        let owner = pcb.owner;
        if let Some(event) = take_event(pcb, handle) {
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
        None
    }
}

impl Pcb {
    /// Whether there is nothing to tell but [`Progress`].
    #[inline]
    fn tells_progress_only(&self) -> bool {
        let pending = &self.pending;
        self.attached == Attached::Yes
            && self.life == Life::Alive
            && self.rcv.fin != PeerFin::Arrived
            && pending.accept.is_none()
            && !pending.connected
            && !pending.refused
            && !pending.poll
    }

    /// The data that came. It counts as unread until `recved`, so that the window stays as it is.
    #[inline]
    fn take_data_to_tell(&mut self) -> Option<Pbuf> {
        let data = self.rcv.queue.take_all()?;
        // Bounded by the window.
        let len = u32::try_from(data.tot_len()).unwrap_or(u32::MAX);
        self.rcv.unread = self.rcv.unread.saturating_add(len);
        Some(data)
    }
}

/// Order of the raw API: accepted or connected, data, sent, end of stream, poll.
fn take_event(pcb: &mut Pcb, handle: TcpPcb) -> Option<Event> {
    if let Some(listener) = pcb.pending.accept.take() {
        return Some(Event::Accept {
            listener,
            pcb: handle,
        });
    }
    if core::mem::take(&mut pcb.pending.connected) {
        return Some(Event::Connected { pcb: handle });
    }
    if !pcb.pending.refused
        && let Some(data) = pcb.take_data_to_tell()
    {
        return Some(Event::Recv {
            pcb: handle,
            data: Some(data),
        });
    }
    if pcb.pending.acked > 0 {
        let len = core::mem::take(&mut pcb.pending.acked);
        return Some(Event::Sent { pcb: handle, len });
    }
    if pcb.rcv.queue.is_empty() && pcb.rcv.fin == PeerFin::Arrived {
        pcb.rcv.fin = PeerFin::Told;
        return Some(Event::Recv {
            pcb: handle,
            data: None,
        });
    }
    if core::mem::take(&mut pcb.pending.poll) && pcb.life == Life::Alive {
        return Some(Event::Poll { pcb: handle });
    }
    None
}
