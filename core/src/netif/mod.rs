//! Network interfaces: the table of them, what each is and has counted. Framing is in `ethernet`,
//! finding neighbours in `arp` and `neighbor`; which interface a packet takes is IP's business.
pub(crate) mod arp;
pub mod driver;
pub(crate) mod ethernet;
pub(crate) mod loopback;
pub(crate) mod neighbor;
mod pending;

use core::fmt;

use crate::error::Error;
#[cfg(feature = "igmp")]
use crate::ip::Querier;
use crate::ip::Subnet;
use crate::ip::stats::count;
use crate::pbuf::Pbuf;
use crate::time::Instant;

use driver::{Capabilities, Driver, HwAddr, Medium};

pub use loopback::LoopbackSlot;
pub use neighbor::NeighborSlot;
pub use pending::PendingSlot;

/// Names an interface of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetifId(pub(crate) u8);

impl NetifId {
    /// The interface to the host itself: 127.0.0.0/8 and all own addresses (`loop_netif`). It is
    /// always there and always up.
    pub const LOOPBACK: Self = Self(u8::MAX);

    /// The interface at this place of the storage given to the stack, as
    /// [`NetifId::index`] says; 255 is [`NetifId::LOOPBACK`]. There need be none: then calls say so.
    pub const fn with_index(index: u8) -> Self {
        Self(index)
    }

    /// The interface's place in the storage given to the stack; 255 for [`NetifId::LOOPBACK`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whether the owner of the device wants an interface to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// Packets are sent and received (`netif_set_up`).
    Up,
    /// Nothing is sent; what arrives is dropped (`netif_set_down`).
    Down,
}

/// To whom a frame was addressed, or where it came from (`sll_pkttype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// To this host (`PACKET_HOST`).
    Host,
    /// To all (`PACKET_BROADCAST`).
    Broadcast,
    /// To a group (`PACKET_MULTICAST`).
    Multicast,
    /// To another station: the device lets everything through (`PACKET_OTHERHOST`).
    OtherHost,
    /// Sent by this host (`PACKET_OUTGOING`).
    Outgoing,
}

/// Whether the device says that it is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// A cable is plugged in, a station associated (`netif_set_link_up`).
    Up,
    /// Frames would go nowhere (`netif_set_link_down`).
    Down,
}

/// An interface as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetifStatus {
    /// Its address and the subnet around it.
    pub subnet: Option<Subnet>,
    /// Frame format and hardware address.
    pub medium: Medium,
    /// Largest IP packet in bytes.
    pub mtu: u16,
    /// Whether it is to be used.
    pub admin: Admin,
    /// Whether the device is connected.
    pub link: Link,
}

/// What an interface has counted, named after the IF-MIB (RFC 2863). Counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetifStats {
    /// Frames received (`ifInUcastPkts` and its like together).
    pub in_frames: u32,
    /// Bytes of the frames received (`ifInOctets`).
    pub in_octets: u64,
    /// Frames too short for a link layer header, or from a group address (`ifInErrors`).
    pub in_errors: u32,
    /// Frames for other stations, or received while the interface was down (`ifInDiscards`).
    pub in_discards: u32,
    /// Frames for groups that were not joined.
    pub in_other_groups: u32,
    /// Frames of protocols this stack does not have (`ifInUnknownProtos`).
    pub in_unknown_protocols: u32,
    /// Frames handed to the device (`ifOutUcastPkts` and its like together).
    pub out_frames: u32,
    /// Bytes of the frames handed to the device (`ifOutOctets`).
    pub out_octets: u64,
    /// Frames the device did not take, or for which no header buffer was free (`ifOutDiscards`).
    pub out_discards: u32,
}

/// An interface: a device and what the stack knows about it.
pub(crate) struct Netif {
    driver: &'static mut dyn Driver,
    pub(crate) capabilities: Capabilities,
    pub(crate) subnet: Option<Subnet>,
    pub(crate) admin: Admin,
    /// As last asked for.
    pub(crate) link: Link,
    /// When a claim of our address by somebody else was last answered.
    pub(crate) defended: Option<Instant>,
    /// Who asks for memberships there.
    #[cfg(feature = "igmp")]
    pub(crate) querier: Querier,
    pub(crate) stats: NetifStats,
}

impl Netif {
    pub(crate) fn new(driver: &'static mut dyn Driver, subnet: Option<Subnet>) -> Self {
        let capabilities = driver.capabilities();
        let mut netif = Self {
            driver,
            capabilities,
            subnet,
            admin: Admin::Up,
            link: Link::Down,
            defended: None,
            #[cfg(feature = "igmp")]
            querier: Querier::default(),
            stats: NetifStats::default(),
        };
        netif.poll_link();
        netif
    }

    /// Asks the device; `true` if the link has changed.
    pub(crate) fn poll_link(&mut self) -> bool {
        let now = match self.driver.link_up() {
            true => Link::Up,
            false => Link::Down,
        };
        core::mem::replace(&mut self.link, now) != now
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.admin == Admin::Up && self.link == Link::Up
    }

    /// Largest IP packet. RFC 791 §3.2: a network that does not carry 68 bytes does not carry IP.
    pub(crate) fn mtu(&self) -> u16 {
        self.capabilities.mtu.max(68)
    }

    /// The hardware address, if neighbours are found by ARP here.
    pub(crate) fn hw_addr(&self) -> Option<HwAddr> {
        match self.capabilities.medium {
            Medium::Ethernet(addr) => Some(addr),
            Medium::Ip => None,
        }
    }

    pub(crate) fn status(&self) -> NetifStatus {
        NetifStatus {
            subnet: self.subnet,
            medium: self.capabilities.medium,
            mtu: self.mtu(),
            admin: self.admin,
            link: self.link,
        }
    }

    /// Tells the device which groups to receive.
    #[cfg(feature = "igmp")]
    pub(crate) fn listen(&mut self, groups: &mut dyn Iterator<Item = HwAddr>) {
        self.driver.multicast(groups);
    }

    /// The next frame, and its length in bytes.
    #[inline]
    pub(crate) fn receive(&mut self) -> Option<(Pbuf, usize)> {
        let frame = self.driver.receive()?;
        let len = frame.tot_len();
        count(&mut self.stats.in_frames);
        self.stats.in_octets = self.stats.in_octets.wrapping_add(len as u64);
        Some((frame, len))
    }

    pub(crate) fn can_transmit(&mut self) -> bool {
        self.driver.can_transmit()
    }

    /// Hands a whole frame to the device. One that it does not take is lost.
    pub(crate) fn transmit(&mut self, frame: Pbuf) -> Result<(), Error> {
        let len = frame.tot_len();
        self.transmit_bytes(frame, len)
    }

    /// As [`Netif::transmit`], if the frame's length is known.
    #[inline]
    pub(crate) fn transmit_bytes(&mut self, frame: Pbuf, len: usize) -> Result<(), Error> {
        let taken = self.driver.transmit(frame);
        self.count_sent(taken, len)
    }

    /// As [`Netif::transmit_bytes`], for a device that cuts TCP segments into ones of `mss` bytes.
    pub(crate) fn transmit_large(
        &mut self,
        frame: Pbuf,
        len: usize,
        mss: u16,
    ) -> Result<(), Error> {
        let taken = self.driver.transmit_large(frame, mss);
        self.count_sent(taken, len)
    }

    #[inline]
    fn count_sent(&mut self, taken: Result<(), Pbuf>, len: usize) -> Result<(), Error> {
        if taken.is_err() {
            count(&mut self.stats.out_discards);
            return Err(Error::NoMemory);
        }
        count(&mut self.stats.out_frames);
        self.stats.out_octets = self.stats.out_octets.wrapping_add(len as u64);
        Ok(())
    }

    pub(crate) fn into_driver(self) -> &'static mut dyn Driver {
        self.driver
    }
}

impl fmt::Debug for Netif {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Netif")
            .field("status", &self.status())
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

/// Storage for one interface.
#[derive(Debug, Default)]
pub struct NetifSlot(Option<Netif>);

impl NetifSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self(None)
    }
}

/// All interfaces but loopback.
#[derive(Debug)]
pub(crate) struct Netifs {
    all: &'static mut [NetifSlot],
    /// No slot from this one on was ever used.
    limit: usize,
}

impl Netifs {
    /// At most 255 interfaces; further slots are not used.
    pub(crate) fn new(slots: &'static mut [NetifSlot]) -> Self {
        let usable = slots.len().min(NetifId::LOOPBACK.index());
        Self {
            all: slots.get_mut(..usable).unwrap_or_default(),
            limit: 0,
        }
    }

    pub(crate) fn insert(&mut self, netif: Netif) -> Result<NetifId, Error> {
        let free = self.all.iter().position(|slot| slot.0.is_none());
        let id = NetifId(
            free.and_then(|i| i.try_into().ok())
                .ok_or(Error::NoMemory)?,
        );
        if let Some(slot) = self.all.get_mut(id.index()) {
            slot.0 = Some(netif);
            self.limit = self.limit.max(id.index() + 1);
        }
        Ok(id)
    }

    pub(crate) fn remove(&mut self, id: NetifId) -> Option<Netif> {
        self.all.get_mut(id.index())?.0.take()
    }

    pub(crate) fn at(&self, id: NetifId) -> Option<&Netif> {
        self.all.get(id.index())?.0.as_ref()
    }

    pub(crate) fn at_mut(&mut self, id: NetifId) -> Option<&mut Netif> {
        self.all.get_mut(id.index())?.0.as_mut()
    }

    /// The interface, if packets can be sent there.
    pub(crate) fn usable(&mut self, id: NetifId) -> Result<&mut Netif, Error> {
        self.at_mut(id)
            .filter(|netif| netif.is_usable())
            .ok_or(Error::LinkDown)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NetifId, &Netif)> {
        let ids = (0..NetifId::LOOPBACK.0).map(NetifId);
        ids.zip(self.all.iter().take(self.limit))
            .filter_map(|(id, slot)| Some((id, slot.0.as_ref()?)))
    }

    #[cfg(feature = "igmp")]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (NetifId, &mut Netif)> {
        let ids = (0..NetifId::LOOPBACK.0).map(NetifId);
        ids.zip(self.all.iter_mut().take(self.limit))
            .filter_map(|(id, slot)| Some((id, slot.0.as_mut()?)))
    }

    /// No interface has a number from this one on.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
}
