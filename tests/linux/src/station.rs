//! gannet at an end of the path: a stack without an RTOS, driven by poll(2), with a clock of
//! microseconds.
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as HostInstant};

use gannet_core::{Config, Handler, Instant, Stack, Subnet, Tcp};
use gannet_port_freertos::device::{Polled, Setup};
use gannet_tests::storage::{Pools, Sizes, leak_pool, leak_storage};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::linux::{Offloads, PREFIX, address, hardware};
use crate::middle::timespec;

/// How often a condition is looked at that no frame and no timer brings about.
const LOOK: Duration = Duration::from_millis(2);

/// Pools that nobody uses: memory of stacks is never given back, and there are many runs.
static UNUSED: Mutex<Vec<Pools>> = Mutex::new(Vec::new());

/// A gannet stack with its application, which is owner 0.
#[derive(Debug)]
pub struct Station<H: Handler> {
    stack: Stack,
    /// The application.
    pub app: H,
    address: Ipv4Addr,
    fd: OwnedFd,
    pools: Pools,
    start: HostInstant,
}

impl<H: Handler> Station<H> {
    /// A station with the address [`address`]`(number)`, and its cable.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(number: u8, config: Config, app: H, seed: u64) -> io::Result<(Self, OwnedFd)> {
        Self::with_pools(number, config, |_| app, seed)
    }

    /// As [`Station::new`], with an application that uses the stack's pools.
    ///
    /// # Errors
    /// Those of the system.
    pub fn with_pools(
        number: u8,
        config: Config,
        app: impl FnOnce(&Pools) -> H,
        seed: u64,
    ) -> io::Result<(Self, OwnedFd)> {
        let (inner, outer) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            None,
        )?;
        let station = Self::on(inner, Offloads::None, number, config, app, seed)?;
        Ok((station, outer))
    }

    /// As [`Station::with_pools`], at the end `fd` of a cable there is: of a TAP device or one like
    /// it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn on(
        fd: OwnedFd,
        offloads: Offloads,
        number: u8,
        config: Config,
        app: impl FnOnce(&Pools) -> H,
        seed: u64,
    ) -> io::Result<Self> {
        let unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let pools = unused.unwrap_or_else(|| Pools {
            rx: leak_pool::<1024, 1536>("rx", 256),
            tx: leak_pool::<256, 1536>("tx", 4096),
            header: leak_pool::<1024, 128>("header", 128),
        });
        let storage = leak_storage(
            Sizes {
                sends: 2048,
                ..Sizes::default()
            },
            pools,
        );
        let mut random = fastrand::Rng::with_seed(seed);
        let mut stack = Stack::new(storage, config, &mut |bytes| random.fill(bytes));
        let setup = Setup::new(hardware(number), pools.rx);
        let device = match offloads {
            Offloads::None => Polled::new(fd.try_clone()?, setup),
            Offloads::All => Polled::offloading(fd.try_clone()?, setup),
        }?;
        let subnet = Subnet::new(address(number), PREFIX).ok_or(io::ErrorKind::InvalidInput)?;
        stack
            .add_netif(Box::leak(Box::new(device)), Some(subnet))
            .map_err(io::Error::other)?;
        Ok(Self {
            stack,
            app: app(&pools),
            address: address(number),
            fd,
            pools,
            start: HostInstant::now(),
        })
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The stack; what is asked of it leaves with the next [`Station::run_until`].
    pub fn stack(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// Stack and application together, and the time.
    pub fn both(&mut self) -> (&mut Stack, &mut H, Instant) {
        let now = self.now();
        (&mut self.stack, &mut self.app, now)
    }

    /// Whether the stack has given all buffers back.
    pub fn is_at_rest(&self) -> bool {
        self.pools.at_rest()
    }

    /// The stack's TCP.
    pub fn tcp(&mut self) -> Tcp<'_> {
        let now = self.now();
        self.stack.tcp(now)
    }

    /// Drives the stack until `done`, or until `limit` has passed; whether `done` was reached.
    ///
    /// # Panics
    /// The system does not let it wait.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = HostInstant::now() + limit;
        loop {
            let now = self.now();
            let deadline = self.stack.turn(now, &mut [&mut self.app]);
            if done(self) {
                return true;
            }
            if HostInstant::now() >= end {
                return false;
            }
            // `done` may have asked the stack for something; it has its turn in a moment.
            let wait = match deadline {
                Some(deadline) => deadline.saturating_since(self.now()).min(LOOK),
                None => LOOK,
            };
            let mut fds = [PollFd::from_borrowed_fd(self.fd.as_fd(), PollFlags::IN)];
            match poll(&mut fds, Some(&timespec(wait))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => panic!("poll: {error}"),
            }
        }
    }

    fn now(&self) -> Instant {
        let micros = self.start.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

impl<H: Handler> Drop for Station<H> {
    fn drop(&mut self) {
        // A stack with connections keeps its buffers for ever.
        if self.pools.at_rest() {
            let mut unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
            unused.push(self.pools);
        }
    }
}
