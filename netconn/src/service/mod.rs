//! The net's application on the raw API: it carries out what threads ask for, and puts what the
//! engine tells into their slots. Runs in the tcpip thread only.
mod control;
mod datagram;
mod interfaces;
#[cfg(feature = "packet")]
mod packet;
#[cfg(feature = "raw")]
mod raw;
mod tcp;
mod udp;

use gannet_core::{
    Error as CoreError, Handler, IcmpReport, Owner, Pbuf, Refused, Stack, Tcp, TcpListener, TcpPcb,
    Udp, UdpPcb,
};

use crate::net::Net;
use crate::shared::{Attached, Holder, Requests};

/// The application on the raw API behind all connections of a [`Net`]; one of the handlers of
/// [`Net::run`].
#[derive(Debug)]
pub struct Service {
    net: &'static Net,
    owner: Owner,
}

impl Service {
    /// The service of `net`. `owner` is its place among the handlers given to [`Net::run`].
    pub fn new(net: &'static Net, owner: Owner) -> Self {
        net.set_owner(owner);
        Self { net, owner }
    }

    pub(crate) fn net(&self) -> &'static Net {
        self.net
    }

    /// Carries out what was asked for connection `index`.
    fn serve(&mut self, stack: &mut Stack, index: u16) {
        let Some((asked, attached, closing)) = self.take_requests(index) else {
            return;
        };
        // What was closed before the call was made is free for it: a port, a place in a table.
        if closing && asked.contains(Requests::CONTROL) {
            self.serve_closed(stack);
        }
        self.carry_out(stack, index, asked, attached);
    }

    /// Takes what was asked for connection `index`; what is behind it, and whether others were
    /// closed.
    fn take_requests(&self, index: u16) -> Option<(Requests, Attached, bool)> {
        self.net.with(index, |shared, cs| {
            let asked = shared.requests.take();
            (asked, shared.attached, self.net.closing.seen(cs, asked))
        })
    }

    /// Lets go of all connections that the application has closed.
    fn serve_closed(&mut self, stack: &mut Stack) {
        for index in self.net.indices() {
            let is_closed = self
                .net
                .with(index, |shared, _| shared.requests.contains(Requests::CLOSE));
            if is_closed == Some(true)
                && let Some((asked, attached, _)) = self.take_requests(index)
            {
                self.carry_out(stack, index, asked, attached);
            }
        }
    }

    fn carry_out(&mut self, stack: &mut Stack, index: u16, asked: Requests, attached: Attached) {
        // Before the call that was made after they were set.
        if asked.contains(Requests::SETTINGS) {
            self.apply(stack, index);
        }
        let attached = if asked.contains(Requests::CONTROL) {
            self.control(stack, index);
            self.attached(index)
        } else {
            attached
        };
        match attached {
            Attached::Tcp(pcb) => self.serve_tcp(&mut stack.tcp_now(), index, pcb, asked),
            Attached::Listener(_) => {}
            _ => self.serve_datagrams(stack, index, asked),
        }
        if asked.contains(Requests::CLOSE) {
            self.close(stack, index);
        }
    }

    fn apply(&self, stack: &mut Stack, index: u16) {
        match self.attached(index) {
            Attached::Tcp(pcb) => self.apply_tcp(&mut stack.tcp_now(), index, pcb),
            Attached::Udp(pcb) => {
                let settings = self.net.with(index, |shared, _| shared.settings);
                self.apply_udp(&mut stack.udp_now(), pcb, settings.unwrap_or_default());
            }
            #[cfg(feature = "raw")]
            Attached::Raw(pcb) => {
                let settings = self.net.with(index, |shared, _| shared.settings);
                self.apply_raw(&mut stack.raw_now(), pcb, settings.unwrap_or_default());
            }
            // There are none of the engine.
            #[cfg(feature = "packet")]
            Attached::Packet(_) => {}
            // Applied when there is something to apply them to.
            Attached::Listener(_) | Attached::Nothing => {}
        }
    }

    fn close(&mut self, stack: &mut Stack, index: u16) {
        match self.attached(index) {
            Attached::Tcp(pcb) => self.close_tcp(&mut stack.tcp_now(), index, pcb),
            Attached::Listener(listener) => {
                self.close_listener(&mut stack.tcp_now(), index, listener);
            }
            Attached::Udp(pcb) => {
                // Stale is as good as closed.
                let _ = stack.udp_now().close(pcb);
                self.free(index);
            }
            #[cfg(feature = "raw")]
            Attached::Raw(pcb) => {
                let _ = stack.raw_now().close(pcb);
                self.free(index);
            }
            #[cfg(feature = "packet")]
            Attached::Packet(pcb) => {
                let _ = stack.packets_now().close(pcb);
                self.free(index);
            }
            Attached::Nothing => self.free(index),
        }
    }

    fn attached(&self, index: u16) -> Attached {
        self.net
            .with(index, |shared, _| shared.attached)
            .unwrap_or(Attached::Nothing)
    }

    /// The slot is nobody's any more.
    fn free(&self, index: u16) {
        let freed = self.net.with(index, |shared, cs| {
            while self.net.datagrams.pop(cs, &mut shared.inbox).is_some() {}
            while self.net.datagrams.pop(cs, &mut shared.outbox).is_some() {}
            self.net.icmp_errors.forget(cs, shared.attached);
            self.net.closing.seen(cs, shared.requests);
            debug_assert_ne!(
                shared.holder,
                Holder::Application,
                "freed under the application"
            );
            let buffers = (
                core::mem::take(&mut shared.rx),
                core::mem::take(&mut shared.tx),
            );
            shared.reset();
            buffers
        });
        // The buffers go back outside the critical section.
        drop(freed);
    }
}

impl Handler for Service {
    fn wake(&mut self, stack: &mut Stack) {
        let (wanted, asked) = critical_section::with(|cs| {
            (self.net.snapshot.is_wanted(cs), self.net.requests.asked(cs))
        });
        if wanted {
            self.publish_snapshot(stack);
        }
        if let Some(request) = asked {
            self.serve_request(stack, request);
        }
        // Each connection at most once: threads that keep ringing wait for the next turn.
        for _ in 0..self.net.capacity() {
            let Some(index) = self.net.doorbell.next_dirty() else {
                return;
            };
            self.serve(stack, index);
        }
    }

    fn accept(&mut self, tcp: &mut Tcp<'_>, _: TcpListener, pcb: TcpPcb) -> Result<(), CoreError> {
        self.accepted(tcp, pcb)
    }

    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        self.established(tcp, pcb);
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        match data {
            Some(data) => self.received(tcp, pcb, data),
            None => self.ended(tcp, pcb),
        }
        Ok(())
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, len: usize) {
        self.acknowledged(tcp, pcb, len);
    }

    fn err(&mut self, _: &mut Tcp<'_>, pcb: TcpPcb, error: CoreError) {
        self.failed(pcb, error);
    }

    fn udp_recv(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: gannet_core::udp::Datagram) {
        self.datagram_received(udp, pcb, datagram);
    }

    fn udp_err(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, report: IcmpReport) {
        self.datagram_refused(udp, pcb, report);
    }

    #[cfg(feature = "raw")]
    fn raw_recv(
        &mut self,
        raw: &mut gannet_core::Raw<'_>,
        pcb: gannet_core::RawPcb,
        packet: gannet_core::raw::Packet,
    ) {
        self.packet_arrived(raw, pcb, packet);
    }

    #[cfg(feature = "raw")]
    fn raw_err(
        &mut self,
        raw: &mut gannet_core::Raw<'_>,
        pcb: gannet_core::RawPcb,
        report: IcmpReport,
    ) {
        self.packet_refused(raw, pcb, report);
    }

    #[cfg(feature = "packet")]
    fn packet_recv(
        &mut self,
        packets: &mut gannet_core::Packets<'_>,
        pcb: gannet_core::PacketPcb,
        frame: gannet_core::packet::Frame,
    ) {
        self.frame_seen(packets, pcb, frame);
    }
}
