//! A smoltcp device on the simulation's wire.
use std::collections::HashMap;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::wire::Wire;

/// See the module.
#[derive(Debug)]
pub struct Port {
    /// Where frames come from and go.
    pub wire: Wire,
    /// Largest IP packet.
    pub mtu: u16,
    /// Received frames are lost for want of buffers.
    pub deaf: bool,
    /// Frames sent.
    pub sent: u64,
    /// When data was sent last, by local port, remote port and remote station.
    pub last: HashMap<(u16, u16, u8), Instant>,
}

/// A received frame.
#[derive(Debug)]
pub struct Rx(Vec<u8>);

/// Leave to send a frame.
#[derive(Debug)]
pub struct Tx<'a>(&'a mut Port, Instant);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let Self(port, now) = self;
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        port.sent += 1;
        if let Some(connection) = connection(&frame) {
            port.last.insert(connection, now);
        }
        port.wire.send(frame);
        result
    }
}

/// Local port, remote port and remote station of a TCP segment without IP options that takes room
/// in the sequence space.
fn connection(frame: &[u8]) -> Option<(u16, u16, u8)> {
    let word = |at| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let is_tcp = frame.get(12..15) == Some(&[8, 0, 0x45]) && frame.get(23) == Some(&6);
    let headers = 20 + u16::from(frame.get(46)? >> 4) * 4;
    let syn_or_fin = frame.get(47)? & 3 != 0;
    (is_tcp && (syn_or_fin || word(16)? > headers)).then_some((
        word(34)?,
        word(36)?,
        *frame.get(33)?,
    ))
}

impl Device for Port {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, now: Instant) -> Option<(Rx, Tx<'_>)> {
        if self.deaf {
            while self.wire.arrived().is_some() {}
        }
        let frame = self.wire.arrived()?;
        Some((Rx(frame), Tx(self, now)))
    }

    fn transmit(&mut self, now: Instant) -> Option<Tx<'_>> {
        self.wire.has_room().then_some(Tx(self, now))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        // With the Ethernet header.
        capabilities.max_transmission_unit = usize::from(self.mtu) + 14;
        capabilities
    }
}
