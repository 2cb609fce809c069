//! TCP: receiving. Bytes are taken out of the slot's queue as packet buffers and copied, if at
//! all, outside the critical section. Reading what is queued never switches threads; the engine
//! is told when a quarter of the window was read.
use gannet_core::Pbuf;

use crate::control::Kind;
use crate::error::Error;
use crate::netconn::Netconn;
use crate::shared::{Phase, Requests, Shared, Side};
use crate::wait::Patience;

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

/// What a look into the queue gave.
enum Taken {
    /// Bytes, to be copied outside the critical section.
    Pbuf(Pbuf),
    /// So many bytes, copied already.
    Copied(usize),
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
        let patience = self.recv_patience()?;
        self.recv_within(buf, Peek::Take, patience)
    }

    /// As [`Netconn::recv`], with a patience of its own; `peek` leaves the bytes in the queue.
    pub fn recv_within(
        &self,
        buf: &mut [u8],
        peek: Peek,
        patience: Patience,
    ) -> Result<usize, Error> {
        if buf.is_empty() {
            return Ok(0);
        }
        let taken = self.sleep_until(Side::Read, patience, |shared, _| {
            if let Some(outcome) = shared.nothing_to_read() {
                return outcome.map(|end| end.map(|()| Taken::End));
            }
            Some(Ok(match peek {
                Peek::Take => shared.take_into(buf),
                Peek::Keep => shared.peek_into(buf),
            }))
        })??;
        Ok(match taken {
            Taken::Pbuf(data) => data.copy_to(0, buf),
            Taken::Copied(n) => n,
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
        self.sleep_until(Side::Read, patience, |shared, _| {
            if let Some(outcome) = shared.nothing_to_read() {
                return outcome.map(|end| end.map(|()| None));
            }
            Some(
                shared
                    .rx
                    .take_front(max.max(1))
                    .map_err(|_| Error::NoBuffers)
                    .inspect(|data| {
                        shared.count_read(data.as_ref().map_or(0, Pbuf::tot_len));
                    }),
            )
        })?
    }

    /// Bytes that can be received without sleeping (`FIONREAD`). UDP: those of the next datagram.
    pub fn available(&self) -> Result<usize, Error> {
        self.with(|shared, cs| match shared.kind {
            Kind::Tcp => shared.rx.len(),
            Kind::Udp => {
                let len = |data: &Pbuf, _, _| data.tot_len();
                self.net.datagrams.peek(cs, &shared.inbox, len).unwrap_or(0)
            }
        })
    }
}

impl Shared {
    /// `None`: there is data. Else what a receiving call does: `Some(None)` sleeps.
    fn nothing_to_read(&mut self) -> Option<Option<Result<(), Error>>> {
        if !self.rx.is_empty() {
            return None;
        }
        if self.kind == Kind::Udp {
            return Some(Some(Err(Error::NotSupported)));
        }
        if let Some(error) = self.error.take() {
            return Some(Some(Err(error)));
        }
        Some(match self.phase {
            _ if self.eof || self.read_shut => Some(Ok(())),
            Phase::Connected => None,
            Phase::Dead => Some(Ok(())),
            Phase::Idle | Phase::Connecting | Phase::Listening => Some(Err(Error::NotConnected)),
        })
    }

    /// Takes what fits `buf` out of the queue.
    fn take_into(&mut self, buf: &mut [u8]) -> Taken {
        match self.rx.take_front(buf.len()) {
            Ok(Some(data)) => {
                self.count_read(data.tot_len());
                Taken::Pbuf(data)
            }
            Ok(None) => Taken::Copied(0),
            // The cut goes through a buffer and there is no descriptor for the rest: a few bytes
            // are copied here, so that reading goes on.
            Err(_) => {
                let few = buf.len().min(IN_SECTION);
                let n = buf.get_mut(..few).map_or(0, |few| self.rx.copy_to(0, few));
                self.rx.consume(n);
                self.count_read(n);
                Taken::Copied(n)
            }
        }
    }

    fn peek_into(&mut self, buf: &mut [u8]) -> Taken {
        let n = buf.len().min(self.rx.len());
        match self.rx.slice(0, n) {
            Ok(view) => Taken::Pbuf(view),
            Err(_) => {
                let few = n.min(IN_SECTION);
                Taken::Copied(buf.get_mut(..few).map_or(0, |few| self.rx.copy_to(0, few)))
            }
        }
    }

    /// `n` bytes were read: the window may open.
    fn count_read(&mut self, n: usize) {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        self.consumed = self.consumed.saturating_add(n);
        // At the end of the stream there is no window to open.
        if self.consumed >= self.window_step && !self.eof && self.phase == Phase::Connected {
            self.request(Requests::RECVED);
        }
    }
}
