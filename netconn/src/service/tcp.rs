//! TCP connections between slot and engine.
use core::num::NonZeroU8;

use gannet_core::tcp::{Data, More, Shutdown};
use gannet_core::{Chain, Error as CoreError, Pbuf, Tcp, TcpListener, TcpPcb};

use super::Service;
use crate::control::Kind;
use crate::error::Error;
use crate::settings::{Linger, Settings};
use crate::shared::{Attached, Holder, Phase, Requests, Shared};

/// What came of moving a slot's send queue to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    /// The engine has all of it.
    All,
    /// The engine's queue is full; an acknowledgement makes room.
    Some,
}

/// What writers are told of the engine; in bytes of their queue.
#[derive(Clone, Copy, Debug)]
struct Worth {
    /// From so many on something would leave.
    ring_at: u32,
    /// From so many on nothing more would, so there is nothing to hold back for; 0: never.
    hold_to: u32,
}

impl Service {
    /// Does what threads asked for the connection, closing apart.
    pub(super) fn serve_tcp(&self, tcp: &mut Tcp<'_>, index: u16, pcb: TcpPcb, asked: Requests) {
        if asked.contains(Requests::ACCEPTED) {
            let _ = tcp.accepted(pcb);
        }
        let moved = if asked.contains(Requests::SEND) || asked.contains(Requests::SHUT_WRITE) {
            self.fetch(tcp, index, pcb)
        } else {
            if asked.contains(Requests::RECVED) {
                self.recved(tcp, index, pcb);
            }
            Moved::All
        };
        let worth = worth(tcp, pcb);
        self.net
            .with(index, |shared, _| shared.publish(worth, moved));
    }

    /// Carries the options to the engine. What a state does not permit any more changes nothing:
    /// whoever set it there was told so, or was too late.
    pub(super) fn apply_tcp(&self, tcp: &mut Tcp<'_>, index: u16, pcb: TcpPcb) {
        let Some(settings) = self.net.with(index, |shared, _| shared.settings) else {
            return;
        };
        let keepalive = settings.keepalive.then_some(settings.keepalive_times);
        let _ = tcp.nagle(pcb, settings.nagle);
        let _ = tcp.cork(pcb, settings.cork);
        let _ = tcp.quick_ack(pcb, settings.quick_ack);
        let _ = tcp.keepalive(pcb, keepalive);
        let _ = tcp.user_timeout(pcb, settings.user_timeout);
        let _ = tcp.defer_accept(pcb, settings.defer_accept);
        let _ = tcp.tos(pcb, settings.tos);
        let _ = tcp.ttl(pcb, settings.ttl.map(NonZeroU8::get));
        let _ = tcp.mtu_discovery(pcb, settings.mtu_discovery);
        if let Some(algorithm) = settings.congestion {
            let _ = tcp.congestion(pcb, algorithm);
        }
        if let Some(bytes) = settings.max_segment {
            let _ = tcp.max_mss(pcb, bytes.get());
        }
        if let Some(count) = settings.syn_retransmits {
            let _ = tcp.syn_retransmits(pcb, count.get());
        }
        if let Some(bytes) = settings.send_buffer {
            let _ = tcp.snd_buf(pcb, bytes.get());
        }
        if let Some(bytes) = settings.recv_buffer {
            let _ = tcp.rcv_wnd(pcb, bytes.get());
            self.net.with(index, |shared, _| {
                shared.window_step = (bytes.get() / 4).max(1)
            });
        }
    }

    /// Tells the engine what was read.
    fn recved(&self, tcp: &mut Tcp<'_>, index: u16, pcb: TcpPcb) {
        let read = self
            .net
            .with(index, |shared, _| core::mem::take(&mut shared.consumed));
        tell_read(tcp, pcb, read.unwrap_or(0));
    }

    /// Tells the engine what was read, moves to it what was written, then the FIN if one was asked
    /// for.
    fn fetch(&self, tcp: &mut Tcp<'_>, index: u16, pcb: TcpPcb) -> Moved {
        let segment = usize::from(tcp.mss(pcb).unwrap_or(u16::MAX));
        let Some((queue, more, shut, read)) = self.net.with(index, |shared, cs| {
            let more = if shared.more { More::Yes } else { More::No };
            shared.held = false;
            if !shared.tx.is_empty() {
                shared.bulk = shared.tx.len() >= segment;
                if shared.bulk {
                    self.net.doorbell.nap(cs);
                }
            }
            let read = core::mem::take(&mut shared.consumed);
            let queue = core::mem::take(&mut shared.tx);
            (queue, more, shared.write_shut, read)
        }) else {
            return Moved::All;
        };
        tell_read(tcp, pcb, read);
        let rest = write_all(tcp, pcb, queue, more);
        if !rest.is_empty() {
            self.net.with(index, |shared, _| {
                // In front of what was written meanwhile.
                let mut queue = rest;
                queue.append(&mut shared.tx);
                shared.tx = queue;
            });
            return Moved::Some;
        }
        if shut {
            let _ = tcp.shutdown(pcb, Shutdown::Write);
        }
        Moved::All
    }

    /// The handshake of a connection made with `connect` is complete.
    pub(super) fn established(&self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        let Some(index) = index_of(tcp, pcb) else {
            return;
        };
        self.open(tcp, index, pcb);
        self.net.update(index, |_, _| {});
    }

    /// Fills in what a connected slot knows of its engine.
    fn open(&self, tcp: &Tcp<'_>, index: u16, pcb: TcpPcb) {
        let room =
            |bytes: Result<usize, CoreError>| u32::try_from(bytes.unwrap_or(0)).unwrap_or(u32::MAX);
        let (snd_buf, rcv_buf) = (room(tcp.sndbuf(pcb)), room(tcp.rcvbuf(pcb)));
        let local = tcp.local_addr(pcb);
        let remote = tcp.peer_addr(pcb);
        self.net.with(index, |shared, _| {
            shared.attached = Attached::Tcp(pcb);
            shared.phase = Phase::Connected;
            shared.snd_buf = snd_buf;
            shared.window_step = (rcv_buf / 4).max(1);
            if let (Ok(local), Ok(remote)) = (local, remote) {
                (shared.local, shared.remote) = (local, remote);
            }
        });
    }

    /// A listener has a new connection: it waits in the listener's list in a slot of its own.
    pub(super) fn accepted(&self, tcp: &mut Tcp<'_>, pcb: TcpPcb) -> Result<(), CoreError> {
        // The new connection inherited its listener's number.
        let listener = index_of(tcp, pcb).ok_or(CoreError::Closed)?;
        let settings = self
            .net
            .with(listener, |shared, _| shared.settings)
            .unwrap_or_default();
        let Ok((index, _)) = self.net.allocate(Kind::Tcp, Holder::Queue) else {
            log::warn!(target: "gannet", "all connections are taken: a new one is reset");
            return Err(CoreError::NoMemory);
        };
        // Its place in the backlog is held until a thread has accepted it.
        tcp.delay_accept(pcb)?;
        tcp.arg(pcb, usize::from(index))?;
        self.net.with(index, |shared, _| {
            // POSIX: `O_NONBLOCK` is not inherited.
            shared.settings = Settings {
                nonblocking: false,
                ..settings
            };
        });
        // Options set after listening are inherited too, as in Linux.
        self.apply_tcp(tcp, index, pcb);
        self.open(tcp, index, pcb);
        self.net
            .update(listener, |shared, cs| self.net.enqueue(shared, cs, index));
        Ok(())
    }

    pub(super) fn received(&self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Pbuf) {
        let len = u32::try_from(data.tot_len()).unwrap_or(u32::MAX);
        let mut data = Some(data);
        let worth = worth(tcp, pcb);
        let index = index_of(tcp, pcb);
        let read = index.and_then(|index| {
            self.net.update(index, |shared, _| {
                shared.publish(worth, Moved::All);
                let read = core::mem::take(&mut shared.consumed);
                // The application has gone (the engine is not told before everything is sent),
                // or reads no more: acknowledged and dropped.
                if shared.read_shut || shared.holder == Holder::Service {
                    return read;
                }
                if let Some(data) = data.take() {
                    shared.rx.push(data);
                }
                read
            })
        });
        let dropped = if data.is_some() { len } else { 0 };
        tell_read(tcp, pcb, read.unwrap_or(0).saturating_add(dropped));
    }

    /// The peer's end of stream.
    pub(super) fn ended(&self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        if let Some(index) = index_of(tcp, pcb) {
            self.net.update(index, |shared, _| shared.eof = true);
        }
    }

    pub(super) fn acknowledged(&self, tcp: &mut Tcp<'_>, pcb: TcpPcb, len: usize) {
        let Some(index) = index_of(tcp, pcb) else {
            return;
        };
        let moved = self.fetch(tcp, index, pcb);
        let worth = worth(tcp, pcb);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let closing = self.net.update(index, |shared, _| {
            shared.publish(worth, moved);
            shared.queued = shared.queued.saturating_sub(len);
            // Not before the request to close was seen: a thread may have written and closed since
            // the queue was fetched.
            shared.holder == Holder::Service && !shared.requests.contains(Requests::CLOSE)
        });
        if closing == Some(true) && moved == Moved::All {
            self.let_go(tcp, index, pcb);
        }
    }

    /// The connection is over; its control block is gone.
    pub(super) fn failed(&self, pcb: TcpPcb, error: CoreError) {
        // The handle is stale, so the slot is found by it.
        let Some(index) = self
            .net
            .find(|shared| shared.attached == Attached::Tcp(pcb))
        else {
            return;
        };
        let (holder, unsent) = self
            .net
            .with(index, |shared, _| {
                shared.attached = Attached::Nothing;
                shared.phase = Phase::Dead;
                shared.error = Some(Error::from(error));
                shared.queued = 0;
                (shared.holder, core::mem::take(&mut shared.tx))
            })
            .unwrap_or((Holder::Free, Chain::new()));
        drop(unsent);
        if holder == Holder::Service {
            self.free(index);
        } else {
            self.net.wake_all(index);
        }
    }

    /// The application let go of the connection.
    pub(super) fn close_tcp(&self, tcp: &mut Tcp<'_>, index: u16, pcb: TcpPcb) {
        self.recved(tcp, index, pcb);
        let reset = self.net.with(index, |shared, _| {
            // RFC 2525 §2.17: data that nobody will read must not look as if it was.
            shared.settings.linger == Linger::Abort || !shared.rx.is_empty()
        });
        if reset == Some(true) {
            let _ = tcp.abort(pcb);
            self.free(index);
        } else if self.fetch(tcp, index, pcb) == Moved::All {
            self.let_go(tcp, index, pcb);
        }
    }

    /// The engine has everything: it finishes alone, and the slot is free.
    fn let_go(&self, tcp: &mut Tcp<'_>, index: u16, pcb: TcpPcb) {
        let _ = tcp.orphan(pcb);
        self.free(index);
    }

    /// The application closed a listener: what it did not accept is reset.
    pub(super) fn close_listener(&self, tcp: &mut Tcp<'_>, index: u16, listener: TcpListener) {
        let _ = tcp.close_listener(listener);
        while let Some(Some(waiting)) = self
            .net
            .with(index, |shared, cs| self.net.unqueue(shared, cs))
        {
            if let Attached::Tcp(pcb) = self.attached(waiting) {
                let _ = tcp.abort(pcb);
            }
            self.free(waiting);
        }
        self.free(index);
    }
}

impl Shared {
    /// Tells writers from how many bytes on ringing is worth while.
    fn publish(&mut self, worth: Worth, moved: Moved) {
        self.ring_at = worth.ring_at;
        self.hold_to = match self.bulk {
            true => worth.hold_to.min(self.send_buffer() / 4),
            false => 0,
        };
        // Written since the queue was fetched, when ringing did not seem worth while. If the
        // engine is full, though, only an acknowledgement helps.
        let waits = self.tx.len() as u64 >= u64::from(worth.ring_at) && !self.tx.is_empty();
        if moved == Moved::All && waits {
            self.request(Requests::SEND);
        }
    }
}

fn worth(tcp: &Tcp<'_>, pcb: TcpPcb) -> Worth {
    let ask = || -> Result<Worth, CoreError> {
        let sendable = u32::try_from(tcp.sendable(pcb)?).unwrap_or(u32::MAX);
        // RFC 9293 §3.7.4: less than a segment waits for the acknowledgement.
        let (full, hold_to) = match tcp.nagle_disabled(pcb)? {
            true => (1, 0),
            false => (u32::from(tcp.mss(pcb)?), sendable),
        };
        // With nothing under way no acknowledgement will come to fetch what is queued; and a
        // closed window has to be probed, which the engine does if it has something to send.
        let ring_at = match (tcp.sndqueuelen(pcb)?, sendable) {
            (0, _) => 1,
            (_, 0) => u32::MAX,
            _ => full,
        };
        Ok(Worth { ring_at, hold_to })
    };
    // There is no such connection any more; then ringing changes nothing.
    ask().unwrap_or(Worth {
        ring_at: 1,
        hold_to: 0,
    })
}

/// Tells the engine that `len` bytes were read.
fn tell_read(tcp: &mut Tcp<'_>, pcb: TcpPcb, len: u32) {
    if len > 0 {
        let _ = tcp.recved(pcb, len as usize);
    }
}

/// Writes `queue`; what the engine has no room for comes back.
fn write_all(tcp: &mut Tcp<'_>, pcb: TcpPcb, mut queue: Chain, more: More) -> Chain {
    let Some(all) = queue.take_all() else {
        return queue;
    };
    let refused = match tcp.write(pcb, Data::Pbuf(all), more) {
        Ok(()) => return queue,
        Err(refused) => refused,
    };
    if let (CoreError::NoMemory, Data::Pbuf(all)) = (refused.error, refused.data) {
        queue.push(all);
    } else {
        // The connection is over; its error is on the way.
        return queue;
    }
    // Not all at once, but perhaps a part: without it a queue of more buffers than the engine
    // takes would never leave.
    loop {
        let first = queue.front().len();
        let Ok(Some(part)) = queue.take_front(first) else {
            return queue;
        };
        if let Err(refused) = tcp.write(pcb, Data::Pbuf(part), more) {
            if let (CoreError::NoMemory, Data::Pbuf(part)) = (refused.error, refused.data) {
                queue.push_front(part);
            } else {
                queue.clear();
            }
            return queue;
        }
    }
}

/// The slot of a connection.
fn index_of(tcp: &Tcp<'_>, pcb: TcpPcb) -> Option<u16> {
    tcp.arg_of(pcb).ok().and_then(|arg| u16::try_from(arg).ok())
}
