//! Two drivers joined: what one transmits is copied, once, into a buffer of the other's receive
//! pool, as a device's DMA engine would.
use alloc::boxed::Box;

use gannet_core::{Capabilities, Driver, Medium, Pbuf, Pool};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::cell::Checksums;

/// Frames under way in one direction at most.
const FRAMES: usize = 256;

/// A device on the wire.
pub(super) struct Port {
    capabilities: Capabilities,
    to_peer: Producer<Pbuf>,
    from_peer: Consumer<Pbuf>,
    /// Where the peer's device puts what it receives.
    peer_pool: &'static Pool,
    /// Frames it gives before it says once that there are no more.
    batch: Option<u32>,
    given: u32,
}

/// The two ends; host `n` receives into `rx_pools[n]`.
pub(super) fn join(
    checksums: Checksums,
    rx_pools: [&'static Pool; 2],
    batch: Option<u32>,
) -> [&'static mut Port; 2] {
    let checksums = match checksums {
        Checksums::Software => gannet_core::Checksums::NONE,
        Checksums::Off => gannet_core::Checksums::ALL,
    };
    let (to_b, from_a) = RingBuffer::new(FRAMES);
    let (to_a, from_b) = RingBuffer::new(FRAMES);
    let port = |number, to_peer, from_peer, peer_pool| {
        let capabilities = Capabilities {
            medium: Medium::Ethernet(super::hw(number)),
            mtu: 1500,
            tx_checksums: checksums,
            rx_checksums: checksums,
            tso: 0,
        };
        Box::leak(Box::new(Port {
            capabilities,
            to_peer,
            from_peer,
            peer_pool,
            batch,
            given: 0,
        }))
    };
    [
        port(1, to_b, from_b, rx_pools[1]),
        port(2, to_a, from_a, rx_pools[0]),
    ]
}

impl Driver for Port {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn receive(&mut self) -> Option<Pbuf> {
        let frame = match self.batch {
            Some(batch) if self.given == batch => None,
            _ => self.from_peer.pop().ok(),
        };
        self.given = if frame.is_some() { self.given + 1 } else { 0 };
        frame
    }

    fn can_transmit(&mut self) -> bool {
        !self.to_peer.is_full()
    }

    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        if self.to_peer.is_full() {
            return Err(frame);
        }
        // As drivers do, so that what is behind the header of the link is aligned.
        let Ok(mut received) = Pbuf::alloc(self.peer_pool, 2, 0) else {
            return Err(frame);
        };
        for part in frame.parts() {
            received.append_copy(part);
        }
        self.to_peer.push(received).expect("it is not full");
        Ok(())
    }
}
