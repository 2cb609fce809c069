//! Names of control blocks that cannot dangle: a slot plus the generation it was taken in.
use core::num::NonZeroU16;

/// Which application a control block belongs to: the index of its [`Handler`](crate::Handler).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner(pub u8);

/// Slot and generation; the generation changes whenever the slot is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RawHandle {
    pub(crate) slot: u16,
    pub(crate) generation: NonZeroU16,
}

/// The generation that follows `generation`.
pub(crate) fn next_generation(generation: NonZeroU16) -> NonZeroU16 {
    generation.checked_add(1).unwrap_or(NonZeroU16::MIN)
}

macro_rules! handle {
    ($(#[$attr:meta])* $name:ident) => {
        $(#[$attr])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub(crate) RawHandle);

        impl $name {
            /// The slot's number, below the capacity the resources were declared with: an index
            /// for tables beside the stack. Reused after the handle is stale.
            pub const fn index(self) -> usize {
                self.0.slot as usize
            }
        }
    };
}

handle! {
    /// A TCP connection, or one being made (`struct tcp_pcb *`).
    ///
    /// A call on a handle whose connection is gone returns [`Error::Closed`](crate::Error::Closed).
    TcpPcb
}
handle! {
    /// A listening TCP endpoint (`struct tcp_pcb_listen *`). Not a [`TcpPcb`]: writing to a
    /// listener does not compile.
    TcpListener
}
handle! {
    /// A UDP endpoint (`struct udp_pcb *`).
    UdpPcb
}
#[cfg(feature = "raw")]
handle! {
    /// A raw IP endpoint (`struct raw_pcb *`).
    RawPcb
}
#[cfg(feature = "packet")]
handle! {
    /// A packet endpoint, which sees frames.
    PacketPcb
}

/// Typed state beside each connection, keyed by its handle: `tcp_arg` without the `void *`.
///
/// `N` is the number of TCP control blocks of the stack. An entry set for a connection that is
/// gone is never found through a newer handle.
///
/// ```
/// # use gannet_core::PcbMap;
/// let mut bytes_seen: PcbMap<u32, 8> = PcbMap::new();
/// # let _ = &mut bytes_seen;
/// ```
#[derive(Debug)]
pub struct PcbMap<T, const N: usize>([Option<(TcpPcb, T)>; N]);

impl<T, const N: usize> PcbMap<T, N> {
    /// An empty map.
    pub const fn new() -> Self {
        Self([const { None }; N])
    }

    /// Sets the state of `pcb`; returns what was there for it, or `Err` if its slot is not
    /// below `N`.
    pub fn insert(&mut self, pcb: TcpPcb, value: T) -> Result<Option<T>, T> {
        let Some(entry) = self.0.get_mut(pcb.index()) else {
            return Err(value);
        };
        let old = entry.replace((pcb, value));
        Ok(old.and_then(|(of, value)| (of == pcb).then_some(value)))
    }

    /// The state of `pcb`.
    pub fn find(&mut self, pcb: TcpPcb) -> Option<&mut T> {
        match self.0.get_mut(pcb.index())? {
            Some((of, value)) if *of == pcb => Some(value),
            _ => None,
        }
    }

    /// Takes the state of `pcb` out.
    pub fn remove(&mut self, pcb: TcpPcb) -> Option<T> {
        self.find(pcb)?;
        self.0.get_mut(pcb.index())?.take().map(|(_, value)| value)
    }
}

impl<T, const N: usize> Default for PcbMap<T, N> {
    fn default() -> Self {
        Self::new()
    }
}
