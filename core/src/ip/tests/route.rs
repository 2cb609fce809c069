//! Which way packets go.
use super::*;
use crate::error::Error;

const LAN: ([u8; 4], u8) = ([10, 0, 0, 2], 24);
const WLAN: ([u8; 4], u8) = ([192, 168, 5, 2], 24);

fn addr(addr: [u8; 4]) -> Ipv4Addr {
    addr.into()
}

fn subnet(addr: [u8; 4], prefix: u8) -> Subnet {
    Subnet::new(addr.into(), prefix).expect("a valid prefix")
}

/// Interface, source and next hop.
fn way(
    ip: &Ip,
    dst: [u8; 4],
    src: Option<[u8; 4]>,
) -> Result<(NetifId, Ipv4Addr, Ipv4Addr), Error> {
    let route = ip.route(dst.into(), src.map(Into::into))?;
    Ok((route.netif, route.src, route.next_hop))
}

#[test]
fn the_longest_prefix_leads() {
    let mut ip = new_ip();
    let (lan, _) = attach(&mut ip, LAN, Checksums::NONE);
    let (wlan, _) = attach(&mut ip, WLAN, Checksums::NONE);
    let (own_lan, own_wlan) = (addr(LAN.0), addr(WLAN.0));
    assert_eq!(
        way(&ip, [10, 0, 0, 9], None),
        Ok((lan, own_lan, addr([10, 0, 0, 9])))
    );
    assert_eq!(
        way(&ip, [192, 168, 5, 9], None),
        Ok((wlan, own_wlan, addr([192, 168, 5, 9])))
    );
    assert_eq!(way(&ip, [8, 8, 8, 8], None), Err(Error::NoRoute));

    let gateway = addr([10, 0, 0, 1]);
    ip.routes.add(Subnet::ANY, gateway).expect("room");
    assert_eq!(way(&ip, [8, 8, 8, 8], None), Ok((lan, own_lan, gateway)));
    let inner = addr([192, 168, 5, 1]);
    ip.routes
        .add(subnet([172, 16, 0, 0], 12), inner)
        .expect("room");
    ip.routes
        .add(subnet([172, 16, 1, 0], 24), gateway)
        .expect("room");
    assert_eq!(way(&ip, [172, 20, 1, 1], None), Ok((wlan, own_wlan, inner)));
    assert_eq!(way(&ip, [172, 16, 1, 1], None), Ok((lan, own_lan, gateway)));
    // A part of an own network behind a gateway.
    ip.routes
        .add(subnet([10, 0, 0, 128], 25), inner)
        .expect("room");
    assert_eq!(way(&ip, [10, 0, 0, 200], None), Ok((wlan, own_wlan, inner)));
    assert_eq!(
        ip.routes.add(subnet([1, 0, 0, 0], 8), inner),
        Err(Error::NoMemory)
    );
    assert!(
        ip.routes.remove(subnet([172, 16, 1, 77], 24), gateway),
        "by network"
    );
    assert!(!ip.routes.remove(subnet([172, 16, 1, 0], 24), gateway));
    assert_eq!(way(&ip, [172, 16, 1, 1], None), Ok((wlan, own_wlan, inner)));
}

#[test]
fn a_second_gateway_serves_when_the_first_ones_link_is_down() {
    let mut ip = new_ip();
    let (lan, lan_device) = attach(&mut ip, LAN, Checksums::NONE);
    let (wlan, wlan_device) = attach(&mut ip, WLAN, Checksums::NONE);
    let second = addr([192, 168, 5, 1]);
    ip.routes
        .add(Subnet::ANY, addr([10, 0, 0, 1]))
        .expect("room");
    ip.routes.add(Subnet::ANY, second).expect("room");
    assert_eq!(
        way(&ip, [8, 8, 8, 8], None).map(|w| w.2),
        Ok(addr([10, 0, 0, 1]))
    );
    lan_device.unplug();
    ip.poll_link(lan);
    assert_eq!(
        way(&ip, [8, 8, 8, 8], None),
        Ok((wlan, addr(WLAN.0), second))
    );
    // Hosts of the own network are not looked for elsewhere.
    assert_eq!(way(&ip, [10, 0, 0, 9], None), Err(Error::LinkDown));
    wlan_device.unplug();
    ip.poll_link(wlan);
    assert_eq!(way(&ip, [8, 8, 8, 8], None), Err(Error::LinkDown));
    assert_eq!(way(&ip, [255, 255, 255, 255], None), Err(Error::LinkDown));
}

#[test]
fn sources_are_own_addresses_and_draw_packets_to_their_interface() {
    let mut ip = new_ip();
    let (lan, _) = attach(&mut ip, LAN, Checksums::NONE);
    let (wlan, _) = attach(&mut ip, WLAN, Checksums::NONE);
    ip.routes
        .add(Subnet::ANY, addr([10, 0, 0, 1]))
        .expect("room");
    ip.routes
        .add(Subnet::ANY, addr([192, 168, 5, 1]))
        .expect("room");
    let far = [8, 8, 8, 8];
    assert_eq!(
        way(&ip, far, Some(LAN.0)).map(|w| (w.0, w.1)),
        Ok((lan, addr(LAN.0)))
    );
    assert_eq!(
        way(&ip, far, Some(WLAN.0)).map(|w| (w.0, w.1)),
        Ok((wlan, addr(WLAN.0)))
    );
    assert_eq!(
        way(&ip, far, Some([0, 0, 0, 0])).map(|w| w.1),
        Ok(addr(LAN.0))
    );
    // Another's address never, loopback's not outside.
    for src in [
        [10, 0, 0, 3],
        [8, 8, 8, 8],
        [127, 0, 0, 1],
        [10, 0, 0, 255],
        [224, 0, 0, 1],
    ] {
        assert_eq!(way(&ip, far, Some(src)), Err(Error::NoRoute), "{src:?}");
    }
}

#[test]
fn own_addresses_are_reached_by_loopback() {
    let mut ip = new_ip();
    attach(&mut ip, LAN, Checksums::NONE);
    let lo = NetifId::LOOPBACK;
    for dst in [LAN.0, [127, 0, 0, 1], [127, 200, 3, 4]] {
        assert_eq!(way(&ip, dst, None), Ok((lo, addr(dst), addr(dst))));
    }
    let from_lan = way(&ip, [127, 0, 0, 1], Some(LAN.0));
    assert_eq!(from_lan, Ok((lo, addr(LAN.0), addr([127, 0, 0, 1]))));
    let route = ip.route(Ipv4Addr::LOCALHOST, None).expect("a route");
    assert_eq!(
        route.tx_checksums,
        Checksums::ALL,
        "nobody needs to compute them"
    );
}

#[test]
fn broadcasts_and_groups() {
    let mut ip = new_ip();
    let (lan, _) = attach(&mut ip, LAN, Checksums::NONE);
    let (wlan, _) = attach(&mut ip, WLAN, Checksums::NONE);
    for group in [[255, 255, 255, 255], [224, 0, 0, 251]] {
        assert_eq!(way(&ip, group, None), Ok((lan, addr(LAN.0), addr(group))));
        assert_eq!(
            way(&ip, group, Some(WLAN.0)),
            Ok((wlan, addr(WLAN.0), addr(group)))
        );
    }
    ip.routes
        .add(Subnet::ANY, addr([192, 168, 5, 1]))
        .expect("room");
    assert_eq!(
        way(&ip, [224, 0, 0, 251], None).map(|w| w.0),
        Ok(wlan),
        "as the default route"
    );
    let directed = [192, 168, 5, 255];
    assert_eq!(
        way(&ip, directed, None),
        Ok((wlan, addr(WLAN.0), addr(directed)))
    );
    for (dst, broadcast) in [
        (directed, true),
        ([192, 168, 5, 0], true),
        ([192, 168, 6, 255], false),
        ([255; 4], true),
    ] {
        assert_eq!(ip.is_broadcast(dst.into()), broadcast, "{dst:?}");
    }
    for dst in [
        [0, 0, 0, 0],
        [0, 1, 1, 1],
        [240, 0, 0, 1],
        [255, 255, 255, 254],
    ] {
        assert_eq!(way(&ip, dst, None), Err(Error::NoRoute), "{dst:?}");
    }
}

#[test]
fn a_host_without_address_can_only_ask_all() {
    let mut ip = new_ip();
    let (lan, _) = attach(&mut ip, LAN, Checksums::NONE);
    ip.netifs.at_mut(lan).expect("the interface").subnet = None;
    let all = [255; 4];
    assert_eq!(
        way(&ip, all, None),
        Ok((lan, Ipv4Addr::UNSPECIFIED, addr(all)))
    );
    assert_eq!(way(&ip, [224, 0, 0, 1], None), Err(Error::NoRoute));
    assert_eq!(way(&ip, [10, 0, 0, 1], None), Err(Error::NoRoute));
}
