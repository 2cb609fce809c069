//! Who computes the checksum. Everything else is tested over the wire.
use super::*;
use crate::netif::driver::Checksums;

fn route(tx_checksums: Checksums) -> Route {
    Route {
        netif: NetifId(0),
        src: Ipv4Addr::LOCALHOST,
        next_hop: Ipv4Addr::LOCALHOST,
        mtu: 1500,
        to: Destination::Unicast,
        own_copy: OwnCopy::No,
        tx_checksums,
    }
}

#[test]
fn a_device_gets_whole_packets_only() {
    let route = route(Checksums::ALL);
    assert_eq!(checksum_by(&route, 1472), ComputedBy::Device);
    assert_eq!(checksum_by(&route, 1473), ComputedBy::Software);
    assert_eq!(
        checksum_by(&route, MAX_PAYLOAD as u16),
        ComputedBy::Software
    );
}

#[test]
fn without_help_it_is_always_software() {
    let route = route(Checksums::NONE);
    assert_eq!(checksum_by(&route, 0), ComputedBy::Software);
    assert_eq!(checksum_by(&route, 1473), ComputedBy::Software);
}
