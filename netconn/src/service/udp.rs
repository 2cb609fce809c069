//! UDP endpoints between slot and engine.
use core::num::NonZeroU8;

use gannet_core::udp::{Broadcast, Datagram as CoreDatagram};
use gannet_core::{IcmpReport, Udp, UdpPcb};

use super::Service;
use super::datagram::{Refused, hears_errors};
use crate::datagram::{About, Datagram};
use crate::settings::Settings;
use crate::shared::Attached;

impl Service {
    pub(super) fn apply_udp(&self, udp: &mut Udp<'_>, pcb: UdpPcb, settings: Settings) {
        let broadcast = if settings.broadcast {
            Broadcast::Allowed
        } else {
            Broadcast::Denied
        };
        // Only a stale handle fails, or hops of 0 and interfaces that are none: they change nothing.
        let _ = udp.broadcast(pcb, broadcast);
        let _ = udp.ttl(pcb, settings.ttl.map(NonZeroU8::get));
        let _ = udp.multicast_ttl(pcb, settings.multicast_ttl);
        let _ = udp.multicast_loop(pcb, settings.multicast_loop);
        let _ = udp.multicast_interface(pcb, settings.multicast_interface);
        let _ = udp.tos(pcb, settings.tos);
        let _ = udp.mtu_discovery(pcb, settings.mtu_discovery);
        let _ = udp.hears_errors(pcb, hears_errors(&settings));
    }

    pub(super) fn send_udp(
        &self,
        udp: &mut Udp<'_>,
        pcb: UdpPcb,
        datagram: Datagram,
    ) -> Result<(), Refused> {
        let Datagram { data, about } = datagram;
        let sent = udp.send_to(pcb, data, about.peer);
        sent.map_err(|refused| Refused::new(refused.error, refused.data, about))
    }

    pub(super) fn datagram_received(&self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: CoreDatagram) {
        let Some(index) = self.named(udp.arg_of(pcb), Attached::Udp(pcb)) else {
            return;
        };
        let about = About {
            peer: datagram.from,
            local: datagram.to,
            netif: datagram.netif,
            tos: datagram.tos,
            ttl: datagram.ttl,
            at: crate::sys::now(),
            ..About::NOTHING
        };
        let data = datagram.data;
        self.deliver(index, Datagram { data, about });
    }

    pub(super) fn datagram_refused(&self, udp: &mut Udp<'_>, pcb: UdpPcb, report: IcmpReport) {
        if let Some(index) = self.named(udp.arg_of(pcb), Attached::Udp(pcb)) {
            self.report(index, report);
        }
    }
}
