//! TCP: receiving. Bytes are taken out of the slot's queue as packet buffers and copied, if at
//! all, outside the critical section. Reading what is queued never switches threads; the engine
//! is told when a quarter of the window was read.
use critical_section::CriticalSection;
use gannet_core::Pbuf;

use crate::control::Kind;
use crate::error::Error;
use crate::gather::scatter;
use crate::net::Net;
use crate::netconn::Netconn;
use crate::shared::{Phase, Requests, Shared, Side};
use crate::wait::{Limit, Patience, Wake};

/// Whether bytes stay in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek {
    /// They are taken out.
    Take,
    /// They stay, and the next call sees them again (`MSG_PEEK`).
    Keep,
}

/// Bytes copied in one critical section when no descriptor is free to take them out.
const IN_SECTION: usize = 64;

/// When a receiving call has enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// With what is there, at least one byte.
    Some,
    /// When the buffer is full, at the end of the stream, or at an error (`MSG_WAITALL`).
    All,
}

/// What a look into the queue gave.
enum Taken {
    /// Bytes, to be copied outside the critical section.
    Pbuf(Pbuf),
    /// So many bytes, copied already.
    Few([u8; IN_SECTION], usize),
    /// The end of the stream.
    End,
}

impl Netconn {
    /// Receives up to `buf.len()` bytes; sleeps until there is at least one, as long as
    /// `SO_RCVTIMEO` and `O_NONBLOCK` permit. `Ok(0)`: the end of the stream (or `buf` is empty).
    ///
    /// What arrived before an error is received first; the error is told once, and the end of the
    /// stream follows.
    ///
    /// # Errors
    /// [`Error::NotConnected`], [`Error::WouldBlock`], [`Error::Closed`]; [`Error::Reset`],
    /// [`Error::TimedOut`] and others: how the connection ended.
    #[doc(alias = "netconn_recv")]
    pub fn recv(&self, buf: &mut [u8]) -> Result<usize, Error> {
        self.recv_scattered(&mut [buf], Peek::Take, Fill::Some, Limit::AsSet)
    }

    /// As [`Netconn::recv`], with a patience of its own; `peek` leaves the bytes in the queue.
    pub fn recv_within(
        &self,
        buf: &mut [u8],
        peek: Peek,
        patience: Patience,
    ) -> Result<usize, Error> {
        self.recv_vectored(&mut [buf], peek, Fill::Some, patience)
    }

    /// As [`Netconn::recv`], into several buffers, one after another, with a patience of its own.
    /// `peek` leaves the bytes in the queue, and then `fill` says nothing.
    ///
    /// # Errors
    /// As [`Netconn::recv`], when nothing was received; an error behind received data is told by
    /// the next call.
    #[doc(alias = "readv")]
    pub fn recv_vectored(
        &self,
        bufs: &mut [&mut [u8]],
        peek: Peek,
        fill: Fill,
        patience: Patience,
    ) -> Result<usize, Error> {
        self.recv_scattered(bufs, peek, fill, Limit::Is(patience))
    }

    fn recv_scattered(
        &self,
        bufs: &mut [&mut [u8]],
        peek: Peek,
        fill: Fill,
        mut limit: Limit,
    ) -> Result<usize, Error> {
        let len: usize = bufs.iter().map(|buf| buf.len()).sum();
        if len == 0 {
            return Ok(0);
        }
        let mut done = 0;
        loop {
            match self.recv_step(bufs, done, len - done, peek, &mut limit) {
                // The error is kept for the next call.
                Err(_) | Ok(0) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
                Ok(0) => return Ok(0),
                Ok(n) => done += n,
            }
            if fill == Fill::Some || peek == Peek::Keep || done >= len {
                return Ok(done);
            }
        }
    }

    /// Receives up to `max` bytes behind the first `done` of `bufs`.
    fn recv_step(
        &self,
        bufs: &mut [&mut [u8]],
        done: usize,
        max: usize,
        peek: Peek,
        limit: &mut Limit,
    ) -> Result<usize, Error> {
        let mut wake = Wake::NONE;
        let taken = self.sleep_within(Side::Read, limit, |shared, cs| {
            if let Some(outcome) = shared.nothing_to_read(max, done > 0) {
                return outcome.map(|end| end.map(|()| Taken::End));
            }
            let (taken, n) = match peek {
                Peek::Take => shared.take_up_to(max),
                Peek::Keep => (shared.peek_up_to(max), 0),
            };
            wake = self.net.count_read(shared, cs, n);
            Some(Ok(taken))
        })??;
        self.net.signal(wake);
        Ok(match taken {
            Taken::Pbuf(data) => scatter(&data, bufs, done),
            Taken::Few(few, n) => scatter_slice(few.get(..n).unwrap_or(&few), bufs, done),
            Taken::End => 0,
        })
    }

    /// Receives up to `max` bytes without copying; `None`: the end of the stream. The window opens
    /// as for [`Netconn::recv`]; the buffers go back to the receive pool when they are dropped,
    /// so holding many of them starves the device.
    ///
    /// # Errors
    /// As [`Netconn::recv`]; [`Error::NoBuffers`]: no descriptor is free to split a buffer.
    #[doc(alias = "netconn_recv_tcp_pbuf")]
    pub fn recv_pbuf(&self, max: usize, patience: Patience) -> Result<Option<Pbuf>, Error> {
        let mut wake = Wake::NONE;
        let data = self.sleep_until(Side::Read, patience, |shared, cs| {
            if let Some(outcome) = shared.nothing_to_read(max, false) {
                return outcome.map(|end| end.map(|()| None));
            }
            let taken = shared
                .rx
                .take_front(max.max(1))
                .map_err(|_| Error::NoBuffers);
            let n = taken
                .as_ref()
                .ok()
                .and_then(Option::as_ref)
                .map_or(0, Pbuf::tot_len);
            wake = self.net.count_read(shared, cs, n);
            Some(taken)
        })?;
        self.net.signal(wake);
        data
    }

    /// Bytes that can be received without sleeping (`FIONREAD`). Datagrams: those of the next datagram.
    pub fn available(&self) -> Result<usize, Error> {
        self.with(|shared, cs| match shared.kind {
            Kind::Tcp | Kind::Pair => shared.rx.len(),
            Kind::Event => 0,
            Kind::Udp | Kind::Raw(_) | Kind::Packet | Kind::DatagramPair => {
                let len = |data: &Pbuf, _: &_| data.tot_len();
                self.net.datagrams.peek(cs, &shared.inbox, len).unwrap_or(0)
            }
        })
    }
}

impl Shared {
    /// `None`: there is data for a call that has room for `max` bytes. Else what the call does:
    /// `Some(None)` sleeps. One that `has_some` leaves an error for the next call.
    fn nothing_to_read(&mut self, max: usize, has_some: bool) -> Option<Option<Result<(), Error>>> {
        let ended = self.error.is_some() || self.eof || self.read_shut || self.phase == Phase::Dead;
        let content = if has_some {
            1
        } else {
            max.min(self.low_water())
        };
        if !self.rx.is_empty() && (ended || self.rx.len() >= content) {
            return None;
        }
        match self.kind {
            Kind::Tcp | Kind::Pair => {}
            _ => return Some(Some(Err(Error::NotSupported))),
        }
        if let Some(error) = self.error {
            if !has_some {
                self.error = None;
            }
            return Some(Some(Err(error)));
        }
        Some(match self.phase {
            Phase::Idle | Phase::Connecting | Phase::Listening => Some(Err(Error::NotConnected)),
            Phase::Connected | Phase::Dead if ended => Some(Ok(())),
            Phase::Connected | Phase::Dead => {
                self.eager |= content < self.low_water();
                None
            }
        })
    }

    /// Takes up to `max` bytes out of the queue; says how many.
    fn take_up_to(&mut self, max: usize) -> (Taken, usize) {
        match self.rx.take_front(max) {
            Ok(Some(data)) => {
                let n = data.tot_len();
                (Taken::Pbuf(data), n)
            }
            Ok(None) => (Taken::End, 0),
            // The cut goes through a buffer and there is no descriptor for the rest: a few bytes
            // are copied here, so that reading goes on.
            Err(_) => {
                let (few, n) = self.copy_few(max);
                self.rx.consume(n);
                (Taken::Few(few, n), n)
            }
        }
    }

    fn peek_up_to(&self, max: usize) -> Taken {
        match self.rx.slice(0, max.min(self.rx.len())) {
            Ok(view) => Taken::Pbuf(view),
            Err(_) => {
                let (few, n) = self.copy_few(max);
                Taken::Few(few, n)
            }
        }
    }

    fn copy_few(&self, max: usize) -> ([u8; IN_SECTION], usize) {
        let mut few = [0; IN_SECTION];
        let n = few
            .get_mut(..max)
            .map_or(IN_SECTION, |few| few.len())
            .min(self.rx.len());
        let copied = few.get_mut(..n).map_or(0, |few| self.rx.copy_to(0, few));
        (few, copied)
    }
}

impl Net {
    /// `n` bytes of `shared` were read: the window may open, or the other end of a pair write.
    fn count_read(&self, shared: &mut Shared, cs: CriticalSection<'_>, n: usize) -> Wake {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        if shared.kind == Kind::Pair {
            return self.other_end(shared, cs, |other| {
                other.queued = other.queued.saturating_sub(n);
            });
        }
        shared.consumed = shared.consumed.saturating_add(n);
        // At the end of the stream there is no window to open.
        let open = !shared.eof && shared.phase == Phase::Connected;
        if n > 0 && shared.consumed >= shared.window_step && open {
            // Less than half of the window: the peer can still send, and what it sends takes the
            // news along.
            if shared.consumed / 2 < shared.window_step {
                shared.request_later(Requests::RECVED);
            } else {
                shared.request(Requests::RECVED);
            }
        }
        Wake::NONE
    }
}

fn scatter_slice(data: &[u8], bufs: &mut [&mut [u8]], at: usize) -> usize {
    let bytes = bufs.iter_mut().flat_map(|buf| buf.iter_mut()).skip(at);
    bytes.zip(data).map(|(to, from)| *to = *from).count()
}
