//! Tests of what IP offers its transports: routes, sending, fragments, errors, without a transport.
#![allow(unsafe_code, reason = "what `pbuf_pool!` expands to in its own crate")]

mod output;
mod route;
mod straight;

use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::*;
use crate::netif::Netif;
use crate::netif::driver::{Capabilities, Checksums, Driver, HwAddr, Medium};
use crate::netif::neighbor::Claim;

crate::pbuf_pool! { static HEADERS: [128; 256] + refs 1024 }
crate::pbuf_pool! { static DATA: [1536; 256] + refs 256 }

#[derive(Debug, Default)]
struct State {
    sent: Vec<Vec<u8>>,
    /// Parts of the last frame sent.
    parts: usize,
    unplugged: bool,
}

/// The outside of a device.
#[derive(Clone, Debug, Default)]
struct Device(Arc<Mutex<State>>);

impl Device {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no panic inside")
    }

    fn sent(&self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.state().sent)
    }

    fn unplug(&self) {
        self.state().unplugged = true;
    }
}

struct Port(Device, Capabilities);

impl Driver for Port {
    fn capabilities(&self) -> Capabilities {
        self.1
    }

    fn link_up(&mut self) -> bool {
        !self.0.state().unplugged
    }

    fn receive(&mut self) -> Option<Pbuf> {
        None
    }

    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        let bytes = frame.parts().flatten().copied().collect();
        let mut state = self.0.state();
        state.parts = frame.clen();
        state.sent.push(bytes);
        Ok(())
    }
}

const NOW: Instant = Instant::from_millis(5_000);

fn hw(n: u8) -> HwAddr {
    HwAddr([2, 0, 0, 0, 0, n])
}

fn new_ip() -> Ip {
    fn slots<T>(n: usize, new: impl Fn() -> T) -> &'static mut [T] {
        (0..n).map(|_| new()).collect::<Vec<_>>().leak()
    }
    let storage = IpStorage {
        netifs: slots(4, Default::default),
        neighbors: slots(8, Default::default),
        pending: slots(8, Default::default),
        routes: slots(4, Default::default),
        reassembly: slots(2, Default::default),
        loopback: slots(4, Default::default),
        groups: slots(4, Default::default),
    };
    Ip::new(storage, &HEADERS, IpConfig::default(), &mut |bytes| {
        bytes.fill(5)
    })
}

/// Adds an Ethernet interface.
fn attach(ip: &mut Ip, subnet: ([u8; 4], u8), tx_checksums: Checksums) -> (NetifId, Device) {
    let device = Device::default();
    let capabilities = Capabilities {
        medium: Medium::Ethernet(hw(2)),
        mtu: 1500,
        tx_checksums,
        rx_checksums: Checksums::NONE,
        tso: 0,
    };
    let port = Box::leak(Box::new(Port(device.clone(), capabilities)));
    let subnet = Subnet::new(subnet.0.into(), subnet.1).expect("a valid prefix");
    let id = ip.netifs.insert(Netif::new(port, Some(subnet)));
    (id.expect("room"), device)
}

/// Makes a neighbour known.
fn meet(ip: &mut Ip, netif: NetifId, addr: [u8; 4]) {
    let heard = ip
        .neighbors
        .heard(NOW, netif, addr.into(), hw(addr[3]), Claim::RequestToUs);
    assert_eq!(heard, crate::netif::neighbor::Heard::Learned);
}
