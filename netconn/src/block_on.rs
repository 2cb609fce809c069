//! The smallest of executors (feature `async`): a task of the operating system runs one future, and
//! sleeps on an event while that waits.
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};

use crate::error::Error;
use crate::net::Net;
use crate::wait::Patience;

impl Net {
    /// Runs `future` to its end in the calling task, which sleeps in between (on one of the net's
    /// waiters, as in a blocking call) and is woken by the future's wakers; from tasks and from
    /// interrupt handlers.
    ///
    /// A task for each connection, or one for several whose futures are joined: both work, the
    /// second needs fewer stacks. The future may also wait for something that is not the stack's.
    ///
    /// # Errors
    /// [`Error::NoBuffers`]: no waiter is free; the future was not started.
    pub fn block_on<F: Future>(&'static self, future: F) -> Result<F::Output, Error> {
        let waiter = self.waiters.borrow()?;
        let waker = self.waiters.waker_of(&waiter).ok_or(Error::NoBuffers)?;
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return Ok(output);
            }
            // A signal that came during the poll is remembered. One that is left of the waiter's
            // last borrower costs a poll.
            waiter.sleep(Patience::Forever)?;
        }
    }
}

/// [`Net::block_on`] on the default net.
///
/// ```no_run
/// # use gannet_port_std as _;
/// # async fn serve() {}
/// // In a task of its own, for ever:
/// gannet_netconn::block_on(serve())?;
/// # Ok::<(), gannet_netconn::Error>(())
/// ```
///
/// # Errors
/// As [`Net::block_on`]. [`Error::NetworkDown`]: there is no default net.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, Error> {
    Net::default_net()?.block_on(future)
}
