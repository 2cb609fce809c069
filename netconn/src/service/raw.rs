//! Raw IP endpoints between slot and engine.
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU8;

use gannet_core::raw::{Broadcast, Header, Packet};
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{IcmpReport, Raw, RawPcb, Stack};

use super::Service;
use super::datagram::{Refused, hears_errors};
use crate::datagram::{About, Datagram};
use crate::error::Error;
use crate::settings::Settings;
use crate::shared::{Attached, NO_ADDR, Phase};

impl Service {
    pub(super) fn open_raw(
        &self,
        stack: &mut Stack,
        index: u16,
        protocol: Protocol,
    ) -> Result<(), Error> {
        let mut raw = stack.raw_now();
        let pcb = raw.new(protocol, self.owner)?;
        raw.arg(pcb, usize::from(index))?;
        let settings = self.net.with(index, |shared, _| {
            shared.attached = Attached::Raw(pcb);
            shared.settings
        });
        self.apply_raw(&mut raw, pcb, settings.unwrap_or_default());
        Ok(())
    }

    pub(super) fn apply_raw(&self, raw: &mut Raw<'_>, pcb: RawPcb, settings: Settings) {
        let broadcast = match settings.broadcast {
            true => Broadcast::Allowed,
            false => Broadcast::Denied,
        };
        let header = match settings.header_included {
            true => Header::Included,
            false => Header::Added,
        };
        // Only a stale handle fails, or hops of 0, which change nothing.
        let _ = raw.broadcast(pcb, broadcast);
        let _ = raw.header(pcb, header);
        let _ = raw.ttl(pcb, settings.ttl.map(NonZeroU8::get));
        let _ = raw.multicast_ttl(pcb, settings.multicast_ttl);
        let _ = raw.tos(pcb, settings.tos);
        let _ = raw.hears_errors(pcb, hears_errors(&settings));
    }

    fn raw_pcb(&self, index: u16) -> Result<RawPcb, Error> {
        match self.attached(index) {
            Attached::Raw(pcb) => Ok(pcb),
            _ => Err(Error::Invalid),
        }
    }

    pub(super) fn bind_raw(
        &self,
        stack: &mut Stack,
        index: u16,
        addr: SocketAddr,
    ) -> Result<(), Error> {
        let pcb = self.raw_pcb(index)?;
        let bound = stack.raw_now().bind(pcb, addr.ip());
        bound.map_err(super::control::bind_error)?;
        self.net
            .with(index, |shared, _| shared.local = without_port(addr.ip()));
        Ok(())
    }

    pub(super) fn connect_raw(
        &self,
        stack: &mut Stack,
        index: u16,
        addr: SocketAddr,
    ) -> Result<(), Error> {
        let pcb = self.raw_pcb(index)?;
        let mut raw = stack.raw_now();
        raw.connect(pcb, addr.ip())?;
        let local = without_port(raw.local_addr(pcb)?);
        self.net.with(index, |shared, cs| {
            shared.phase = Phase::Connected;
            (shared.local, shared.remote) = (local, without_port(addr.ip()));
            self.net
                .datagrams
                .keep_from(cs, &mut shared.inbox, |peer| peer.ip() == addr.ip());
        });
        Ok(())
    }

    pub(super) fn disconnect_raw(&self, stack: &mut Stack, index: u16) -> Result<(), Error> {
        let pcb = self.raw_pcb(index)?;
        let mut raw = stack.raw_now();
        raw.disconnect(pcb)?;
        let local = without_port(raw.local_addr(pcb)?);
        self.net.with(index, |shared, _| {
            shared.phase = Phase::Idle;
            (shared.local, shared.remote) = (local, NO_ADDR);
        });
        Ok(())
    }

    pub(super) fn send_raw(
        &self,
        raw: &mut Raw<'_>,
        pcb: RawPcb,
        datagram: Datagram,
    ) -> Result<(), Refused> {
        let Datagram { data, about } = datagram;
        let sent = match about.peer {
            NO_ADDR => raw.send(pcb, data),
            peer => raw.send_to(pcb, data, peer.ip()),
        };
        sent.map_err(|refused| Refused::new(refused.error, refused.data, about))
    }

    pub(super) fn packet_arrived(&self, raw: &mut Raw<'_>, pcb: RawPcb, packet: Packet) {
        let Some(index) = self.named(raw.arg_of(pcb), Attached::Raw(pcb)) else {
            return;
        };
        let about = About {
            peer: without_port(packet.from),
            local: without_port(packet.to),
            netif: packet.netif,
            tos: packet.tos,
            ttl: packet.ttl,
            at: crate::sys::now(),
            ..About::NOTHING
        };
        let data = packet.data;
        self.deliver(index, Datagram { data, about });
    }

    pub(super) fn packet_refused(&self, raw: &mut Raw<'_>, pcb: RawPcb, report: IcmpReport) {
        if let Some(index) = self.named(raw.arg_of(pcb), Attached::Raw(pcb)) {
            self.report(index, report);
        }
    }
}

fn without_port(addr: IpAddr) -> SocketAddr {
    (addr, 0).into()
}
