//! Packet endpoints between slot and engine.
use gannet_core::packet::{Filter, Frame};
use gannet_core::{NetifId, PacketPcb, Packets, Stack};

use super::Service;
use super::datagram::Refused;
use crate::datagram::{About, Datagram};
use crate::error::Error;
use crate::shared::Attached;

impl Service {
    pub(super) fn watch(
        &self,
        stack: &mut Stack,
        index: u16,
        filter: Filter,
        netif: Option<NetifId>,
    ) -> Result<(), Error> {
        let mut packets = stack.packets_now();
        if let Attached::Packet(pcb) = self.attached(index) {
            return Ok(packets.bind(pcb, filter, netif)?);
        }
        let pcb = packets.new(filter, self.owner)?;
        packets.arg(pcb, usize::from(index))?;
        self.net
            .with(index, |shared, _| shared.attached = Attached::Packet(pcb));
        Ok(packets.bind(pcb, filter, netif)?)
    }

    pub(super) fn send_frame(
        &self,
        packets: &mut Packets<'_>,
        pcb: PacketPcb,
        datagram: Datagram,
    ) -> Result<(), Refused> {
        let Datagram { data, about } = datagram;
        let sent = packets.send(pcb, about.netif, data);
        sent.map_err(|refused| Refused::new(refused.error, refused.data, about))
    }

    pub(super) fn frame_seen(&self, packets: &mut Packets<'_>, pcb: PacketPcb, frame: Frame) {
        let Some(index) = self.named(packets.arg_of(pcb), Attached::Packet(pcb)) else {
            return;
        };
        let dropped = packets.take_dropped(pcb).unwrap_or(0);
        if dropped > 0 {
            self.net.with(index, |shared, _| {
                shared.dropped = shared.dropped.wrapping_add(dropped);
            });
        }
        let about = About {
            netif: frame.netif,
            ethertype: frame.ethertype,
            class: frame.class,
            at: crate::sys::now(),
            ..About::NOTHING
        };
        let data = frame.data;
        self.deliver(index, Datagram { data, about });
    }
}
