//! [`Net`]: everything application threads and the tcpip thread share, declared by the user as a
//! static of any size; and the loop of the tcpip thread.
use core::cell::{Cell, RefCell};

use critical_section::{CriticalSection, Mutex};
use gannet_core::{Handler, Owner, Pool, Stack, owner_bit};

use crate::close::Closing;
use crate::control::Kind;
use crate::datagram::Datagrams;
use crate::doorbell::{Doorbell, Ring};
use crate::error::Error;
use crate::guarded::lock;
use crate::icmp_errors::IcmpErrors;
use crate::info::InfoCell;
use crate::interfaces::RequestCell;
use crate::pace::Pace;
use crate::room::Shortage;
use crate::shared::{Holder, Shared};
use crate::snapshot::SnapshotCell;
use crate::sys;
use crate::wait::{Waiters, Wake};

/// Storage, for [`net!`](crate::net).
pub mod storage {
    pub use crate::datagram::DatagramSlot;
    pub use crate::doorbell::DirtyWord;
    pub use crate::wait::Waiter;

    /// Storage of one connection.
    #[derive(Debug)]
    pub struct Slot(pub(super) super::Mutex<super::RefCell<super::Shared>>);

    impl Slot {
        /// An unused slot.
        #[allow(clippy::new_without_default, reason = "for statics only")]
        pub const fn new() -> Self {
            Self(super::Mutex::new(super::RefCell::new(super::Shared::new())))
        }
    }

    /// [`DirtyWord`]s needed for so many connections.
    pub const fn dirty_words(connections: usize) -> usize {
        connections.div_ceil(32)
    }
}

/// The meeting place of application threads and one stack. Declare it with [`net!`](crate::net).
#[derive(Debug)]
pub struct Net {
    slots: &'static [storage::Slot],
    pub(crate) datagrams: Datagrams,
    pub(crate) waiters: Waiters,
    pub(crate) doorbell: Doorbell,
    pub(crate) tx_pool: &'static Pool,
    pub(crate) snapshot: SnapshotCell,
    pub(crate) info: InfoCell,
    pub(crate) requests: RequestCell,
    pub(crate) shortage: Shortage,
    pub(crate) closing: Closing,
    pub(crate) icmp_errors: IcmpErrors,
    /// The owner under which the service's connections run in the stack.
    owner: Mutex<Cell<Owner>>,
}

/// What [`TcpStream::connect`](../gannet_sockets/struct.TcpStream.html) and its like use.
static DEFAULT: Mutex<Cell<Option<&'static Net>>> = Mutex::new(Cell::new(None));

impl Net {
    /// A net over its storage, each used for nothing else. [`net!`](crate::net) is the way to
    /// call this.
    ///
    /// # Panics
    /// At compile time: more than 128 waiters, 65,534 datagrams or 65,535 connections, or too
    /// few dirty words.
    pub const fn new(
        slots: &'static [storage::Slot],
        dirty: &'static [storage::DirtyWord],
        datagrams: &'static [storage::DatagramSlot],
        waiters: &'static [storage::Waiter],
        tx_pool: &'static Pool,
    ) -> Self {
        assert!(
            slots.len() <= u16::MAX as usize,
            "at most 65,535 connections"
        );
        assert!(
            dirty.len() >= storage::dirty_words(slots.len()),
            "too few dirty words"
        );
        Self {
            slots,
            datagrams: Datagrams::new(datagrams),
            waiters: Waiters::new(waiters),
            doorbell: Doorbell::new(dirty),
            tx_pool,
            snapshot: SnapshotCell::new(),
            info: InfoCell::new(),
            requests: RequestCell::new(),
            shortage: Shortage::new(),
            closing: Closing::new(),
            icmp_errors: IcmpErrors::new(),
            owner: Mutex::new(Cell::new(Owner(0))),
        }
    }

    /// Makes this the net of all calls that name none.
    pub fn make_default(&'static self) {
        critical_section::with(|cs| DEFAULT.borrow(cs).set(Some(self)));
    }

    /// The net that was made the default one.
    ///
    /// # Errors
    /// [`Error::NetworkDown`]: none was.
    pub fn default_net() -> Result<&'static Self, Error> {
        critical_section::with(|cs| DEFAULT.borrow(cs).get()).ok_or(Error::NetworkDown)
    }

    /// The tcpip thread: runs `stack` until [`Net::stop`]. One of the handlers is the net's
    /// [`Service`](crate::Service), at the place its owner names; the others are applications on
    /// the raw API, woken with [`Net::wake`].
    ///
    /// Sleeps until the doorbell rings or the stack's next deadline; an idle stack has none. When
    /// frames come faster than they can be handled it rests a moment again and again, so that
    /// threads below its priority run all the same (about a tenth of the time).
    ///
    /// # Errors
    /// [`Error::NoBuffers`]: the operating system is out of events.
    #[doc(alias = "tcpip_init")]
    pub fn run(&self, stack: &mut Stack, handlers: &mut [&mut dyn Handler]) -> Result<(), Error> {
        self.doorbell.init().ok_or(Error::NoBuffers)?;
        let mut now = sys::now();
        let mut pace = Pace::new(now);
        loop {
            let rung = self.doorbell.look();
            if rung.stop {
                return Ok(());
            }
            let owners = rung.owners | self.retry_held();
            if owners != 0 {
                stack.wake(now, owners, handlers);
            }
            let deadline = self.wake_senders(stack.turn(now, handlers));
            #[cfg(feature = "invariants")]
            if let Err(violation) = stack.check_invariants() {
                panic!("{violation}");
            }
            let done = sys::now();
            match pace.rest(done) {
                None => self.doorbell.sleep(done, deadline),
                Some(end) => self.doorbell.rest(end),
            }
            now = sys::now();
            pace.slept(done, now);
        }
    }

    /// Ends [`Net::run`] after its current turn.
    pub fn stop(&self) {
        critical_section::with(|cs| self.doorbell.stop(cs)).give();
    }

    /// Lets `owner`'s [`Handler::wake`] run in the tcpip thread. Merges with wakes not yet run.
    #[doc(alias = "tcpip_callback")]
    pub fn wake(&self, owner: Owner) {
        critical_section::with(|cs| self.doorbell.wake_owners(cs, owner_bit(owner))).give();
    }

    /// As [`Net::wake`], from an interrupt handler.
    #[doc(alias = "tcpip_callbackmsg_trycallback_fromisr")]
    pub fn wake_from_isr(&self, owner: Owner) {
        critical_section::with(|cs| self.doorbell.wake_owners(cs, owner_bit(owner)))
            .give_from_isr();
    }

    /// A device has frames, or room again: the tcpip thread asks its driver.
    pub fn ring(&self) {
        critical_section::with(|cs| self.doorbell.ring(cs)).give();
    }

    /// As [`Net::ring`], from an interrupt handler: what a driver's interrupt does, after it has
    /// masked itself.
    pub fn ring_from_isr(&self) {
        critical_section::with(|cs| self.doorbell.ring(cs)).give_from_isr();
    }

    /// How often the tcpip thread was woken.
    pub fn wakeups(&self) -> u32 {
        self.doorbell.wakeups()
    }

    /// Connections in use, those being closed in the background included.
    pub fn connections(&self) -> usize {
        let in_use = |slot: &&storage::Slot| {
            critical_section::with(|cs| {
                lock(slot.0.borrow(cs)).is_some_and(|shared| shared.holder != Holder::Free)
            })
        };
        self.slots.iter().filter(in_use).count()
    }

    /// Slots for connections.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The numbers of all slots.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u16> + use<> {
        // At most 65,535 of them.
        0..self.slots.len() as u16
    }

    /// The first slot that `is_wanted`.
    pub(crate) fn find(&self, is_wanted: impl Fn(&Shared) -> bool) -> Option<u16> {
        let wanted = |slot: &storage::Slot| {
            critical_section::with(|cs| {
                lock(slot.0.borrow(cs)).is_some_and(|shared| is_wanted(&shared))
            })
        };
        (0u16..)
            .zip(self.slots)
            .find(|(_, slot)| wanted(slot))
            .map(|(index, _)| index)
    }

    /// Threads that sleep in a call.
    pub fn sleepers(&self) -> usize {
        self.waiters.in_use()
    }

    pub(crate) fn owner(&self) -> Owner {
        critical_section::with(|cs| self.owner.borrow(cs).get())
    }

    pub(crate) fn set_owner(&self, owner: Owner) {
        critical_section::with(|cs| self.owner.borrow(cs).set(owner));
    }

    /// Takes a free slot for `holder`: its index and generation.
    pub(crate) fn allocate(&self, kind: Kind, holder: Holder) -> Result<(u16, u16), Error> {
        for (slot, index) in self.slots.iter().zip(0u16..) {
            let generation = critical_section::with(|cs| {
                let mut shared = lock(slot.0.borrow(cs))?;
                if shared.holder != Holder::Free {
                    return None;
                }
                shared.reset();
                (shared.holder, shared.kind) = (holder, kind);
                Some(shared.generation)
            });
            if let Some(generation) = generation {
                return Ok((index, generation));
            }
        }
        Err(Error::TooMany)
    }

    /// Runs `f` on the slot `index` in a critical section; rings the doorbell if `f` asked for
    /// something. `None`: there is no such slot.
    pub(crate) fn with<R>(
        &self,
        index: u16,
        f: impl FnOnce(&mut Shared, CriticalSection<'_>) -> R,
    ) -> Option<R> {
        // What is around `f` is in the program once, not in each of the many users.
        let mut f = Some(f);
        let mut result = None;
        self.locked(index, &mut |shared, cs| {
            result = f.take().map(|f| f(shared, cs));
        });
        result
    }

    #[inline(never)]
    fn locked(&self, index: u16, f: &mut dyn FnMut(&mut Shared, CriticalSection<'_>)) {
        let Some(slot) = self.slots.get(usize::from(index)) else {
            return;
        };
        let signal = critical_section::with(|cs| {
            let mut shared = lock(slot.0.borrow(cs))?;
            f(&mut shared, cs);
            let ring = core::mem::take(&mut shared.ring);
            (ring > Ring::No).then(|| {
                // The service is an application on the raw API like others.
                let owners = owner_bit(self.owner.borrow(cs).get());
                self.doorbell.mark(cs, index, owners, ring)
            })
        });
        if let Some(signal) = signal {
            signal.give();
        }
    }

    /// Runs `f` on another slot than the one the critical section is for.
    pub(crate) fn in_section<R>(
        &self,
        index: u16,
        cs: CriticalSection<'_>,
        f: impl FnOnce(&mut Shared) -> R,
    ) -> Option<R> {
        let slot = self.slots.get(usize::from(index))?;
        lock(slot.0.borrow(cs)).map(|mut shared| f(&mut shared))
    }

    /// As [`Net::with`], then wakes whoever the new state concerns. For the service.
    pub(crate) fn update<R>(
        &self,
        index: u16,
        f: impl FnOnce(&mut Shared, CriticalSection<'_>) -> R,
    ) -> Option<R> {
        let (result, wake) = self.with(index, |shared, cs| {
            let result = f(shared, cs);
            (result, shared.take_waiters(self, cs))
        })?;
        self.signal(wake);
        Some(result)
    }

    /// Wakes all who wait for slot `index`.
    pub(crate) fn wake_all(&self, index: u16) {
        let wake = self.with(index, |shared, _| shared.take_all_waiters());
        self.signal(wake.unwrap_or(Wake::NONE));
    }
}

/// Declares a [`Net`] with its storage.
///
/// * `connections`: TCP connections, listeners and endpoints of the sequential API, those that
///   are closing included. As many as the stack has control blocks and listeners of its own is
///   always enough.
/// * `datagrams`: datagrams that wait to be received or sent.
/// * `waiters`: threads that sleep in a call at a time, at most 128; each costs one event
///   (semaphore) of the operating system once it is needed.
/// * `tx_pool`: where data to send is copied to; the stack's own.
///
/// ```
/// gannet_core::pbuf_pool! { static TX: [1536; 16] + refs 16 }
/// gannet_netconn::net! {
///     static NET: { connections: 16, datagrams: 16, waiters: 8, tx_pool: TX }
/// }
/// NET.make_default();
/// assert_eq!(NET.connections(), 0);
/// # use gannet_port_std as _;
/// ```
#[macro_export]
macro_rules! net {
    ($(#[$attr:meta])* $vis:vis static $name:ident: {
        connections: $connections:expr,
        datagrams: $datagrams:expr,
        waiters: $waiters:expr,
        tx_pool: $tx_pool:expr $(,)?
    } $(;)?) => {
        $(#[$attr])*
        $vis static $name: $crate::Net = {
            use $crate::storage as __gannet;
            static SLOTS: [__gannet::Slot; $connections] =
                [const { __gannet::Slot::new() }; $connections];
            static DIRTY: [__gannet::DirtyWord; __gannet::dirty_words($connections)] =
                [const { __gannet::DirtyWord::new() }; __gannet::dirty_words($connections)];
            static DATAGRAMS: [__gannet::DatagramSlot; $datagrams] =
                [const { __gannet::DatagramSlot::new() }; $datagrams];
            static WAITERS: [__gannet::Waiter; $waiters] =
                [const { __gannet::Waiter::new() }; $waiters];
            $crate::Net::new(&SLOTS, &DIRTY, &DATAGRAMS, &WAITERS, &$tx_pool)
        };
    };
}
