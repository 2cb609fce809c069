//! Tasks of an executor instead of threads (feature `async`): they leave a waker where a thread
//! leaves its number.
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};

use crate::error::Error;
use crate::netconn::Netconn;
use crate::shared::Ready;

/// Wakers of a connection: who waits for reading, and who for writing.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    pub(crate) read: Option<Waker>,
    pub(crate) write: Option<Waker>,
}

impl Wakers {
    pub(crate) const NONE: Self = Self {
        read: None,
        write: None,
    };

    pub(crate) fn wake(self) {
        [self.read, self.write]
            .into_iter()
            .flatten()
            .for_each(Waker::wake);
    }
}

impl Netconn {
    /// Whether the connection is ready for `interest`, or has an error or a hang-up; else the task
    /// is woken when it may be.
    ///
    /// Any number of tasks of [`block_on`](crate::block_on) may wait for the same, as threads may.
    /// Of another executor's, one task for each direction is remembered: when two share a
    /// direction, each pushes the other out, which is woken to ask again. None is forgotten, but
    /// they never sleep.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn poll_ready(&self, interest: Ready, cx: &mut Context<'_>) -> Poll<Result<Ready, Error>> {
        if let Some(number) = self.net.waiters.number_of(cx.waker()) {
            return match self.with(|shared, cs| shared.look(self.net, cs, interest, Some(number))) {
                Ok(Ready::NONE) => Poll::Pending,
                looked => Poll::Ready(looked),
            };
        }
        // Made outside the critical section, and dropped outside it: a waker is the executor's.
        let mut new = Wakers {
            read: (interest.read || !interest.write).then(|| cx.waker().clone()),
            write: interest.write.then(|| cx.waker().clone()),
        };
        let looked = self.with(|shared, cs| {
            let ready = shared.look(self.net, cs, interest, None);
            if !ready.any() {
                if interest.write && shared.kind.is_datagram() {
                    shared.wait_for_room(self.net);
                }
                for (kept, new) in [
                    (&mut shared.wakers.read, &mut new.read),
                    (&mut shared.wakers.write, &mut new.write),
                ] {
                    if new.is_some() {
                        core::mem::swap(kept, new);
                    }
                }
            }
            ready
        });
        match looked {
            Ok(Ready::NONE) => {
                let mine = cx.waker();
                let others = [new.read, new.write].into_iter().flatten();
                others
                    .filter(|other| !other.will_wake(mine))
                    .for_each(Waker::wake);
                Poll::Pending
            }
            looked => Poll::Ready(looked),
        }
    }

    /// Waits until receiving would not.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn readable(&self) -> Result<(), Error> {
        let attempt = || match self.ready()?.read {
            true => Ok(()),
            false => Err(Error::WouldBlock),
        };
        self.ready_for(Ready::READ, attempt).await
    }

    /// Waits for `interest`, after a call found that it could do nothing.
    async fn ready_again(&self, interest: Ready) -> Result<(), Error> {
        let mut is_first = true;
        poll_fn(|cx| {
            let ready = self.poll_ready(interest, cx);
            // The call lacked something else, a buffer of the pool, whose return wakes nobody:
            // the other tasks go first.
            if ready.is_ready() && core::mem::replace(&mut is_first, false) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready.map_ok(drop)
        })
        .await
    }

    /// Runs `attempt` until it does not return [`Error::WouldBlock`]; in between the task waits
    /// for `interest`.
    ///
    /// ```no_run
    /// # async fn f(conn: gannet_netconn::Netconn, buf: &mut [u8]) -> Result<usize, gannet_netconn::Error> {
    /// use gannet_netconn::{Patience, Peek, Ready};
    /// conn.ready_for(Ready::READ, || conn.recv_within(buf, Peek::Take, Patience::Never)).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of `attempt`, except that one.
    pub async fn ready_for<R>(
        &self,
        interest: Ready,
        mut attempt: impl FnMut() -> Result<R, Error>,
    ) -> Result<R, Error> {
        loop {
            match attempt() {
                Err(Error::WouldBlock) => self.ready_again(interest).await?,
                outcome => return outcome,
            }
        }
    }
}
