//! What a network device offers: the one trait a driver implements.
use crate::pbuf::Pbuf;

/// A hardware (MAC) address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HwAddr(pub [u8; 6]);

impl HwAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether the group bit is set: multicast or broadcast.
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl core::fmt::Display for HwAddr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// How frames look on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Ethernet II frames, without the frame check sequence; neighbours are found by ARP.
    Ethernet(HwAddr),
    /// Bare IP packets: loopback, TUN.
    Ip,
}

/// Who computes the checksums of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    /// The device does the IPv4 header checksum.
    pub ipv4: bool,
    /// The device does the ICMPv4 checksum.
    pub icmpv4: bool,
    /// The device does the UDP checksum.
    pub udp: bool,
    /// The device does the TCP checksum.
    pub tcp: bool,
}

impl Checksums {
    /// Software does all of them.
    pub const NONE: Self = Self {
        ipv4: false,
        icmpv4: false,
        udp: false,
        tcp: false,
    };
    /// The device does all of them (or, for loopback, nobody needs to).
    pub const ALL: Self = Self {
        ipv4: true,
        icmpv4: true,
        udp: true,
        tcp: true,
    };
}

/// What a device is and can do; constant while it is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Frame format and hardware address.
    pub medium: Medium,
    /// Largest IP packet in bytes (1500 on Ethernet), at least 68 (RFC 791).
    pub mtu: u16,
    /// Checksums the device fills in on transmission: software leaves the field zero.
    pub tx_checksums: Checksums,
    /// Checksums the device verifies: frames that fail never arrive.
    pub rx_checksums: Checksums,
    /// Largest IP packet in bytes that the device takes with a TCP segment in it and cuts into
    /// segments itself ([`Driver::transmit_large`]); not more than `mtu` or 0: it cannot. Its
    /// `tx_checksums` then include TCP's.
    pub tso: u16,
}

/// A network device. Called from the tcpip thread only, never blocks.
///
/// The interrupt handler of a real device does no more than mask its interrupt and ring the
/// doorbell of the tcpip thread, which then calls [`Driver::receive`] until it returns `None`.
pub trait Driver: Send {
    /// What the device is and can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether a cable is plugged in, a station associated. Asked every turn: from memory, not
    /// from the other end of a slow bus. A driver that notices a change rings the doorbell.
    fn link_up(&mut self) -> bool {
        true
    }

    /// The groups whose frames are to be received, all of them each time they change; an address
    /// may come twice. A device without filter lets everything through, and has nothing to do here;
    /// one that lets too much through is filtered by software. Broadcasts are always received.
    #[doc(alias = "netif_set_igmp_mac_filter")]
    fn multicast(&mut self, groups: &mut dyn Iterator<Item = HwAddr>) {
        let _ = groups;
    }

    /// The next received frame, in a buffer the stack then owns. `None`: nothing is there, and
    /// the device's receive interrupt is unmasked again.
    fn receive(&mut self) -> Option<Pbuf>;

    /// Whether [`Driver::transmit`] would take a frame now. After `false` the driver rings the
    /// doorbell when there is room again.
    fn can_transmit(&mut self) -> bool {
        true
    }

    /// Sends a frame, given as a chain of parts (scatter-gather). The driver keeps the buffer
    /// until the hardware has read it. `Err` gives it back: no room, or no link.
    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf>;

    /// Sends a frame of up to [`Capabilities::tso`] bytes of IP packet, cut into TCP segments of
    /// `mss` payload bytes (the last may be shorter): each with the headers of this one, numbers,
    /// lengths, identification and checksums corrected, FIN and PSH on the last only (TCP
    /// segmentation offload). `Err` gives it back, as for [`Driver::transmit`].
    ///
    /// Called only if `tso` says that the device can.
    fn transmit_large(&mut self, frame: Pbuf, mss: u16) -> Result<(), Pbuf> {
        let _ = mss;
        Err(frame)
    }
}
