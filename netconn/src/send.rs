//! TCP: sending. The caller copies into buffers of the transmit pool, in its own context, against
//! the credit of the send buffer, and rings only if something could leave at once; else the next
//! acknowledgement fetches what is queued. In bulk it rings only for a good part of the send buffer,
//! or when it is about to sleep. It sleeps only without credit.
use core::time::Duration;

use critical_section::CriticalSection;
use gannet_core::{Chain, Pbuf};

use crate::control::Kind;
use crate::doorbell::Ring;
use crate::error::Error;
use crate::gather::Gather;
use crate::net::Net;
use crate::netconn::Netconn;
use crate::shared::{Phase, Requests, Shared, Side};
use crate::wait::{Limit, Patience, Wake};

/// Writes of at most so many bytes are appended to the last buffer queued, inside the critical
/// section, if it has room: a thousand small writes must not pin a thousand buffers.
const SMALL: usize = 128;

/// Most bytes queued by one step of a long write.
const STEP: usize = 8192;

/// How long a writer sleeps before it looks again for a free buffer of the pool. Buffers come
/// back with acknowledgements, of other connections too, which wake nobody here.
const POOL_RETRY: Duration = Duration::from_millis(20);

/// Whether more data follows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The data ends a message.
    Ends,
    /// More follows: a last small segment may wait for it (`MSG_MORE`, `NETCONN_MORE`).
    GoesOn,
}

/// A buffer that was not sent, given back.
#[derive(Debug)]
pub struct PbufError {
    /// Why.
    pub error: Error,
    /// The data, untouched; `None` if the stack had taken it before it found the error.
    pub data: Option<Pbuf>,
}

impl PbufError {
    pub(crate) const fn new(error: Error, data: Pbuf) -> Self {
        Self {
            error,
            data: Some(data),
        }
    }
}

impl Netconn {
    /// Queues `data` to be sent, sleeping while the send buffer is full as long as `SO_SNDTIMEO`
    /// and `O_NONBLOCK` permit. Returns how many bytes were queued: all of them, unless the
    /// patience ended (then fewer, but at least one) or the connection.
    ///
    /// A write that is alone leaves at once. In bulk it may wait for the ones that follow, for a
    /// tick of the operating system at most, unless Nagle's algorithm is off.
    ///
    /// # Errors
    /// When nothing was queued: [`Error::NotConnected`], [`Error::BrokenPipe`],
    /// [`Error::WouldBlock`], [`Error::Closed`]; [`Error::Reset`] and others: how the connection
    /// ended, told once.
    #[doc(alias = "netconn_write")]
    #[doc(alias = "netconn_write_partly")]
    pub fn send(&self, data: &[u8]) -> Result<usize, Error> {
        self.send_gathered(&[data], Flow::Ends, Limit::AsSet)
    }

    /// As [`Netconn::send`], with a patience of its own.
    pub fn send_within(&self, data: &[u8], flow: Flow, patience: Patience) -> Result<usize, Error> {
        self.send_vectored(&[data], flow, patience)
    }

    /// As [`Netconn::send`], from several buffers, one after another, with a patience of its own:
    /// together they are queued like one.
    #[doc(alias = "netconn_write_vectors_partly")]
    #[doc(alias = "writev")]
    pub fn send_vectored(
        &self,
        bufs: &[&[u8]],
        flow: Flow,
        patience: Patience,
    ) -> Result<usize, Error> {
        self.send_gathered(bufs, flow, Limit::Is(patience))
    }

    fn send_gathered(&self, bufs: &[&[u8]], flow: Flow, mut limit: Limit) -> Result<usize, Error> {
        let mut data = Gather::new(bufs);
        let len = data.len();
        loop {
            match self.send_step(&mut data, flow, &mut limit) {
                Ok(()) if data.len() == 0 => return Ok(len),
                Ok(()) => {}
                Err((error, told)) => {
                    if data.len() == len {
                        return Err(error);
                    }
                    // Some was queued, which is the news; the error is for the next call.
                    if told == Told::Taken {
                        let _ = self.with(|shared, _| shared.error = Some(error));
                    }
                    return Ok(len - data.len());
                }
            }
        }
    }

    /// Queues some of `data`, sleeping until there is room for at least one byte.
    fn send_step(
        &self,
        data: &mut Gather<'_>,
        flow: Flow,
        limit: &mut Limit,
    ) -> Result<(), (Error, Told)> {
        let step = self
            .sleep_within(Side::Write, limit, |shared, cs| {
                if let Err(error) = shared.may_write() {
                    return Some(Err(error));
                }
                if data.len() <= SMALL
                    && shared.room() as usize >= data.len()
                    && let Some(wake) = self.net.append(shared, cs, data, flow)
                {
                    return Some(Ok(Step::Appended(wake)));
                }
                shared.reserve(data.len()).map(|n| Ok(Step::Reserved(n)))
            })
            .map_err(|error| (error, Told::No))??;
        match step {
            Step::Appended(wake) => {
                self.net.signal(wake);
                Ok(())
            }
            Step::Reserved(n) => self.fill(data, n, flow, limit),
        }
    }

    /// Queues `n` bytes of `data`, for which room is reserved, in buffers of the pool.
    fn fill(
        &self,
        data: &mut Gather<'_>,
        n: usize,
        flow: Flow,
        limit: &mut Limit,
    ) -> Result<(), (Error, Told)> {
        let mut n = n;
        loop {
            let before = data.len();
            if let Ok(copy) = data.copy_out(self.net.tx_pool, 0, n) {
                return self
                    .push(copy, flow)
                    .map_err(|refused| (refused.error, Told::No));
            }
            debug_assert_eq!(data.len(), before, "nothing is consumed on error");
            // All of the pool is under way, or this write is larger than the whole pool.
            let block = self.net.tx_pool.block_size();
            if n > block {
                self.unreserve(n - block);
                n = block;
                continue;
            }
            let patience = limit.patience(|| self.send_patience());
            let slept = patience
                .map_err(|error| (error, Told::No))
                .and_then(|patience| self.sleep_for_pool(patience));
            if let Err(refused) = slept {
                self.unreserve(n);
                return Err(refused);
            }
        }
    }

    /// Gives room back that was reserved and not used.
    fn unreserve(&self, n: usize) {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        let wake = self.with(|shared, _| {
            shared.queued = shared.queued.saturating_sub(n);
            // Another writer may have found none.
            shared.take_sides(false, true)
        });
        if let Ok(wake) = wake {
            self.net.signal(wake);
        }
    }

    /// Queues `data`, for which room is reserved.
    fn push(&self, data: Pbuf, flow: Flow) -> Result<(), PbufError> {
        let wake = self.with_data(data, |shared, cs, data| {
            if shared.kind == Kind::Pair {
                return Ok(self.net.deliver(shared, cs, data));
            }
            shared.tx.push(data);
            shared.written(flow);
            Ok(Wake::NONE)
        })?;
        self.net.signal(wake);
        Ok(())
    }

    /// Sleeps a little; ends early if the connection does.
    fn sleep_for_pool(&self, patience: Patience) -> Result<(), (Error, Told)> {
        if patience.left().is_err() {
            return Err((Error::WouldBlock, Told::No));
        }
        let outcome = self.sleep_until(Side::Write, patience.at_most(POOL_RETRY), |shared, _| {
            shared.may_write().err()
        });
        match outcome {
            Err(Error::WouldBlock) => Ok(()),
            Err(error) => Err((error, Told::No)),
            Ok(refused) => Err(refused),
        }
    }

    /// Sends a buffer without copying; the stack frees it when it is acknowledged. Sleeps until
    /// the send buffer has room for all of it, or is empty.
    ///
    /// # Errors
    /// With the buffer: as [`Netconn::send`].
    #[doc(alias = "NETCONN_NOCOPY")]
    pub fn send_pbuf(&self, data: Pbuf, flow: Flow, patience: Patience) -> Result<(), PbufError> {
        let len = u32::try_from(data.tot_len()).unwrap_or(u32::MAX);
        let reserved = self.sleep_until(Side::Write, patience, |shared, _| {
            if let Err(error) = shared.may_write() {
                return Some(Err(error.0));
            }
            if len > shared.send_buffer() {
                return Some(Err(Error::TooLong));
            }
            (shared.room() >= len).then(|| {
                shared.queued = shared.queued.saturating_add(len);
                Ok(())
            })
        });
        if let Err(error) = reserved.and_then(|reserved| reserved) {
            return Err(PbufError::new(error, data));
        }
        self.push(data, flow)
    }

    /// Sends constant data without copying.
    ///
    /// # Errors
    /// As [`Netconn::send`]; [`Error::NoBuffers`]: no descriptor is free. [`Error::TooLong`]:
    /// longer than the send buffer.
    pub fn send_static(
        &self,
        data: &'static [u8],
        flow: Flow,
        patience: Patience,
    ) -> Result<(), Error> {
        let data = Pbuf::from_static(self.net.tx_pool, data).map_err(|_| Error::NoBuffers)?;
        self.send_pbuf(data, flow, patience)
            .map_err(|refused| refused.error)
    }

    /// Bytes written and not acknowledged by the peer (`SIOCOUTQ`).
    pub fn unacknowledged(&self) -> Result<usize, Error> {
        self.with(|shared, _| shared.queued as usize)
    }

    /// Sleeps until the peer has acknowledged everything that was written: buffers that were sent
    /// without copying are free then.
    ///
    /// # Errors
    /// As [`Netconn::send`].
    pub fn wait_acknowledged(&self, patience: Patience) -> Result<(), Error> {
        self.sleep_until(Side::Write, patience, |shared, _| match shared.kind {
            Kind::Tcp if shared.phase == Phase::Connected && shared.queued > 0 => None,
            Kind::Tcp if shared.error.is_some() => shared.error.take().map(Err),
            Kind::Tcp => Some(Ok(())),
            _ => Some(Err(Error::NotSupported)),
        })?
    }
}

/// Whether an error was the connection's, told once and now taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    No,
    Taken,
}

/// What one step of a write did.
enum Step {
    /// Appended all to the last buffer; these want to know.
    Appended(Wake),
    /// Reserved room for that much.
    Reserved(usize),
}

impl Shared {
    fn may_write(&mut self) -> Result<(), (Error, Told)> {
        if !matches!(self.kind, Kind::Tcp | Kind::Pair) {
            return Err((Error::NotSupported, Told::No));
        }
        if let Some(error) = self.error.take() {
            return Err((error, Told::Taken));
        }
        match self.phase {
            Phase::Connected if !self.write_shut => Ok(()),
            Phase::Connected | Phase::Dead => Err((Error::BrokenPipe, Told::No)),
            Phase::Idle | Phase::Connecting | Phase::Listening => {
                Err((Error::NotConnected, Told::No))
            }
        }
    }

    /// Sets room for up to `len` bytes aside. `None`: there is none.
    fn reserve(&mut self, len: usize) -> Option<usize> {
        let n = len.min(STEP).min(self.room() as usize);
        // At most STEP.
        self.queued = self.queued.saturating_add(n as u32);
        (n > 0).then_some(n)
    }

    /// Something was queued: the service is told if it could transmit.
    fn written(&mut self, flow: Flow) {
        self.more = flow == Flow::GoesOn;
        self.requests.insert(Requests::SEND);
        let len = self.tx.len() as u64;
        if len < u64::from(self.ring_at) {
            return;
        }
        if len >= u64::from(self.hold_to) {
            self.ring = Ring::Now;
        } else if !self.held {
            self.held = true;
            self.ring = self.ring.max(Ring::Soon);
        }
    }
}

impl Net {
    /// Appends all of `data` to the last buffer that waits to be sent, or in a pair to be read.
    /// `None`: it has no room.
    fn append(
        &self,
        shared: &mut Shared,
        cs: CriticalSection<'_>,
        data: &mut Gather<'_>,
        flow: Flow,
    ) -> Option<Wake> {
        let n = data.len();
        let mut into = |queue: &mut Chain| {
            let fits = n == 0 || queue.tail_room() >= n;
            if fits {
                data.feed(n, |chunk| queue.append_copy(chunk));
            }
            fits
        };
        let (fits, wake) = if shared.kind == Kind::Pair {
            let mut fits = n == 0;
            let wake = self.other_end(shared, cs, |other| fits |= into(&mut other.rx));
            (fits, wake)
        } else {
            let fits = into(&mut shared.tx);
            if fits {
                shared.written(flow);
            }
            (fits, Wake::NONE)
        };
        if !fits {
            return None;
        }
        // At most SMALL.
        shared.queued = shared.queued.saturating_add(n as u32);
        Some(wake)
    }
}

#[cfg(test)]
mod tests;
