//! [`Subnet`]: an address and how many of its bits name the network.
use core::fmt;
use core::net::Ipv4Addr;

/// An IPv4 address with the prefix length of its network: 192.168.1.7/24.
///
/// ```
/// use core::net::Ipv4Addr;
/// use gannet_core::Subnet;
///
/// let subnet = Subnet::new(Ipv4Addr::new(192, 168, 1, 7), 24).expect("at most 32 bits");
/// assert_eq!(subnet.mask(), Ipv4Addr::new(255, 255, 255, 0));
/// assert_eq!(subnet.broadcast(), Some(Ipv4Addr::new(192, 168, 1, 255)));
/// assert!(subnet.is_host(Ipv4Addr::new(192, 168, 1, 1)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    addr: Ipv4Addr,
    prefix: u8,
}

impl Subnet {
    /// All addresses: the network of a default route.
    pub const ANY: Self = Self {
        addr: Ipv4Addr::UNSPECIFIED,
        prefix: 0,
    };

    /// 127.0.0.0/8.
    pub const LOOPBACK: Self = Self {
        addr: Ipv4Addr::LOCALHOST,
        prefix: 8,
    };

    /// `addr` with a prefix of so many bits; `None` above 32.
    pub const fn new(addr: Ipv4Addr, prefix: u8) -> Option<Self> {
        if prefix <= 32 {
            Some(Self { addr, prefix })
        } else {
            None
        }
    }

    /// The address itself.
    pub const fn addr(self) -> Ipv4Addr {
        self.addr
    }

    /// Length of the prefix in bits.
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// The mask: as many ones as the prefix has bits.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(!self.host_bits())
    }

    /// The address with the host bits zero.
    pub fn network(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.addr.to_bits() & !self.host_bits())
    }

    /// The address with the host bits one: all hosts of the network. `None` for prefixes of 31
    /// and 32 bits.
    pub fn broadcast(self) -> Option<Ipv4Addr> {
        // RFC 3021 §2.1: with 31 bits both addresses are hosts.
        let bits = self.addr.to_bits() | self.host_bits();
        (self.prefix < 31).then(|| Ipv4Addr::from_bits(bits))
    }

    /// Whether `addr` is in the network.
    pub fn contains(self, addr: Ipv4Addr) -> bool {
        (addr.to_bits() ^ self.addr.to_bits()) & !self.host_bits() == 0
    }

    /// Whether `addr` can be a host of the network: inside, and neither the broadcast address nor
    /// the one of the network itself.
    pub fn is_host(self, addr: Ipv4Addr) -> bool {
        self.contains(addr) && !self.is_broadcast(addr)
    }

    /// Whether `addr` means all hosts of the network, in the form with ones or the old one with
    /// zeros (RFC 1122 §3.3.6).
    pub fn is_broadcast(self, addr: Ipv4Addr) -> bool {
        let host = addr.to_bits() & self.host_bits();
        self.prefix < 31 && self.contains(addr) && (host == 0 || host == self.host_bits())
    }

    /// Whether both name the same network.
    pub(crate) fn same_network(self, other: Self) -> bool {
        self.prefix == other.prefix && self.contains(other.addr)
    }

    /// The bits of a host within the network.
    fn host_bits(self) -> u32 {
        u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(addr: [u8; 4], prefix: u8) -> Subnet {
        Subnet::new(addr.into(), prefix).expect("a valid prefix")
    }

    #[test]
    fn networks_of_every_size() {
        let s = subnet([10, 1, 2, 3], 24);
        assert_eq!(s.mask(), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(s.network(), Ipv4Addr::new(10, 1, 2, 0));
        assert_eq!(s.broadcast(), Some(Ipv4Addr::new(10, 1, 2, 255)));
        assert!(s.is_host([10, 1, 2, 254].into()));
        assert!(!s.is_host([10, 1, 2, 0].into()) && !s.is_host([10, 1, 2, 255].into()));
        assert!(!s.is_host([10, 1, 3, 1].into()));
        for (prefix, hosts) in [(31, 2), (32, 1)] {
            let s = subnet([10, 1, 2, 2], prefix);
            assert_eq!(s.broadcast(), None);
            let inside = (0..=255).filter(|&b| s.is_host([10, 1, 2, b].into()));
            assert_eq!(inside.count(), hosts, "/{prefix}");
        }
        assert!(Subnet::ANY.contains([1, 2, 3, 4].into()));
        assert_eq!(Subnet::new(Ipv4Addr::LOCALHOST, 33), None);
    }
}
