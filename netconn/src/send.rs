//! TCP: sending. The caller copies into buffers of the transmit pool, in its own context, against
//! the credit of the send buffer, and rings only if something could leave at once; else the next
//! acknowledgement fetches what is queued. It sleeps only without credit.
use core::time::Duration;

use gannet_core::Pbuf;

use crate::control::Kind;
use crate::error::Error;
use crate::netconn::Netconn;
use crate::shared::{Phase, Requests, Shared, Side};
use crate::wait::Patience;

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
    /// # Errors
    /// When nothing was queued: [`Error::NotConnected`], [`Error::BrokenPipe`],
    /// [`Error::WouldBlock`], [`Error::Closed`]; [`Error::Reset`] and others: how the connection
    /// ended, told once.
    #[doc(alias = "netconn_write")]
    #[doc(alias = "netconn_write_partly")]
    pub fn send(&self, data: &[u8]) -> Result<usize, Error> {
        let patience = self.send_patience()?;
        self.send_within(data, Flow::Ends, patience)
    }

    /// As [`Netconn::send`], with a patience of its own.
    pub fn send_within(&self, data: &[u8], flow: Flow, patience: Patience) -> Result<usize, Error> {
        let mut done = 0;
        loop {
            let rest = data.get(done..).unwrap_or(&[]);
            match self.send_step(rest, flow, patience) {
                Ok(n) => done += n,
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
            if done >= data.len() {
                return Ok(done);
            }
        }
    }

    /// Queues some of `data`, sleeping until there is room for at least one byte.
    fn send_step(&self, data: &[u8], flow: Flow, patience: Patience) -> Result<usize, Error> {
        let step = self.sleep_until(Side::Write, patience, |shared, _| {
            if let Err(error) = shared.may_write() {
                return Some(Err(error));
            }
            if data.len() <= SMALL
                && shared.room() as usize >= data.len()
                && (data.is_empty() || shared.tx.tail_room() >= data.len())
            {
                let n = shared.tx.append_copy(data);
                shared.queued = shared.queued.saturating_add(n as u32);
                shared.written(flow);
                return Some(Ok(Step::Appended(n)));
            }
            shared.reserve(data.len()).map(|n| Ok(Step::Reserved(n)))
        })??;
        match step {
            Step::Appended(n) => Ok(n),
            Step::Reserved(n) => self.fill(data.get(..n).unwrap_or(&[]), flow, patience),
        }
    }

    /// Queues `data`, for which room is reserved, in buffers of the pool.
    fn fill(&self, data: &[u8], flow: Flow, patience: Patience) -> Result<usize, Error> {
        loop {
            if let Ok(mut copy) = Pbuf::alloc(self.net.tx_pool, 0, data.len()) {
                copy.copy_from(data);
                return self
                    .with(|shared, _| shared.push_reserved(copy, flow))
                    .map(|()| data.len());
            }
            // All of the pool is under way, or this write is larger than the whole pool.
            if data.len() > self.net.tx_pool.block_size() {
                let (one, rest) = data.split_at(self.net.tx_pool.block_size());
                self.with(|shared, _| {
                    shared.queued = shared.queued.saturating_sub(rest.len() as u32)
                })?;
                return self.fill(one, flow, patience);
            }
            let pause = self.sleep_for_pool(patience);
            if let Err(error) = pause {
                let _ = self.with(|shared, _| {
                    shared.queued = shared.queued.saturating_sub(data.len() as u32);
                });
                return Err(error);
            }
        }
    }

    /// Sleeps a little; ends early if the connection does.
    fn sleep_for_pool(&self, patience: Patience) -> Result<(), Error> {
        if patience.left().is_err() {
            return Err(Error::WouldBlock);
        }
        let outcome = self.sleep_until(Side::Write, patience.at_most(POOL_RETRY), |shared, _| {
            shared.may_write().err().map(Err::<(), _>)
        });
        match outcome {
            Err(Error::WouldBlock) => Ok(()),
            outcome => outcome?,
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
                return Some(Err(error));
            }
            if len > shared.snd_buf {
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
        self.with_data(data, |shared, _, data| {
            shared.push_reserved(data, flow);
            Ok(())
        })
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
            Kind::Udp => Some(Err(Error::NotSupported)),
        })?
    }
}

/// What one step of a write did.
enum Step {
    /// Appended that much to the last buffer.
    Appended(usize),
    /// Reserved room for that much.
    Reserved(usize),
}

impl Shared {
    fn may_write(&mut self) -> Result<(), Error> {
        if self.kind == Kind::Udp {
            return Err(Error::NotSupported);
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        match self.phase {
            Phase::Connected if !self.write_shut => Ok(()),
            Phase::Connected | Phase::Dead => Err(Error::BrokenPipe),
            Phase::Idle | Phase::Connecting | Phase::Listening => Err(Error::NotConnected),
        }
    }

    /// Sets room for up to `len` bytes aside. `None`: there is none.
    fn reserve(&mut self, len: usize) -> Option<usize> {
        let n = len.min(STEP).min(self.room() as usize);
        // At most STEP.
        self.queued = self.queued.saturating_add(n as u32);
        (n > 0).then_some(n)
    }

    fn push_reserved(&mut self, data: Pbuf, flow: Flow) {
        self.tx.push(data);
        self.written(flow);
    }

    /// Something was queued: the service is told if it could transmit.
    fn written(&mut self, flow: Flow) {
        self.more = flow == Flow::GoesOn;
        self.requests.insert(Requests::SEND);
        self.ring |= self.tx.len() as u64 >= u64::from(self.ring_at);
    }
}
