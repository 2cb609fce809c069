//! Callbacks: what an application on the raw API implements, and how it is called.
//!
//! The engine never calls user code while it processes a segment. It leaves pending bits in the
//! control blocks; after input and before output of the same turn [`Stack::dispatch`] delivers
//! them. A callback may therefore do anything (write, close, abort, open another connection),
//! and what it writes still rides on the acknowledgement of what it was called for. A datagram
//! leaves nothing behind in the engine: it is delivered as soon as it was received.
//!
//! Order per connection: accepted or connected, data, sent, end of stream, poll, error.
use crate::error::Error;
use crate::handle::{Owner, TcpListener, TcpPcb, UdpPcb};
use crate::icmp_report::IcmpReport;
use crate::pbuf::Pbuf;
use crate::stack::Stack;
use crate::tcp::{Event, Progress, Tcp};
use crate::time::Instant;
use crate::udp::{Datagram, Delivery, Udp};

/// Data a [`Handler::recv`] does not want yet; the stack keeps it and offers it again.
#[derive(Debug)]
pub struct Refused(pub Pbuf);

/// An application on the raw API: the callbacks of `tcp_accept`, `tcp_recv`, ... as one object.
///
/// All run in the tcpip thread. Each gets the stack, so all functions of the raw API can be used
/// inside, on any connection.
pub trait Handler {
    /// A peer connected to `listener`; `pcb` is the new connection and belongs to this handler.
    ///
    /// `Err` refuses: the connection is reset. Unless [`Tcp::delay_accept`] is called here, the
    /// connection no longer counts against the listener's backlog.
    #[doc(alias = "tcp_accept")]
    fn accept(
        &mut self,
        tcp: &mut Tcp<'_>,
        listener: TcpListener,
        pcb: TcpPcb,
    ) -> Result<(), Error> {
        let _ = (tcp, listener, pcb);
        Err(Error::Aborted)
    }

    /// The connection asked for with [`Tcp::connect`] is established. Failure goes to
    /// [`Handler::err`].
    #[doc(alias = "tcp_connect")]
    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        let _ = (tcp, pcb);
    }

    /// Data arrived in order, or (`None`, once) the peer closed its side.
    ///
    /// The window stays closed by the data's length until [`Tcp::recved`] says that it was
    /// processed. `Err(Refused(data))` leaves the data with the stack, which offers it again with
    /// the next segment and at the latest after 250 ms; the end of stream comes after it.
    ///
    /// The default discards data and closes at the end of stream (`tcp_recv_null`).
    #[doc(alias = "tcp_recv")]
    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        // Both can only fail on a stale handle, which a handle in a callback is not.
        let _ = match data {
            Some(data) => tcp.recved(pcb, data.tot_len()),
            None => tcp.close(pcb),
        };
        Ok(())
    }

    /// `len` more bytes of what was written were acknowledged; their buffers are free.
    #[doc(alias = "tcp_sent")]
    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, len: usize) {
        let _ = (tcp, pcb, len);
    }

    /// The interval set with [`Tcp::poll`] passed without traffic.
    #[doc(alias = "tcp_poll")]
    fn poll(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        let _ = (tcp, pcb);
    }

    /// The connection is gone. `pcb` is stale already: use it as a map key only.
    #[doc(alias = "tcp_err")]
    fn err(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, error: Error) {
        let _ = (tcp, pcb, error);
    }

    /// A datagram arrived.
    fn udp_recv(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: Datagram) {
        let _ = (udp, pcb, datagram);
    }

    /// An ICMP error concerning a datagram sent from `pcb` arrived; which ones are told says
    /// [`Udp::hears_errors`].
    fn udp_err(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, report: IcmpReport) {
        let _ = (udp, pcb, report);
    }

    /// A packet for a raw endpoint arrived.
    #[cfg(feature = "raw")]
    fn raw_recv(
        &mut self,
        raw: &mut crate::Raw<'_>,
        pcb: crate::RawPcb,
        packet: crate::raw::Packet,
    ) {
        let _ = (raw, pcb, packet);
    }

    /// An ICMP error concerning a packet sent from the raw endpoint `pcb` arrived; which ones are
    /// told says [`Raw::hears_errors`](crate::Raw::hears_errors).
    #[cfg(feature = "raw")]
    fn raw_err(&mut self, raw: &mut crate::Raw<'_>, pcb: crate::RawPcb, report: IcmpReport) {
        let _ = (raw, pcb, report);
    }

    /// A packet endpoint saw a frame.
    #[cfg(feature = "packet")]
    fn packet_recv(
        &mut self,
        packets: &mut crate::Packets<'_>,
        pcb: crate::PacketPcb,
        frame: crate::packet::Frame,
    ) {
        let _ = (packets, pcb, frame);
    }

    /// Somebody asked for this handler to run in the tcpip thread (`tcpip_callback`).
    #[doc(alias = "tcpip_callback")]
    fn wake(&mut self, stack: &mut Stack) {
        let _ = stack;
    }
}

impl Stack {
    /// Delivers everything that is pending; `Owner(n)` is the `n`-th handler.
    ///
    /// An event for an owner that has no handler here is dropped, the data with it: connections
    /// are made with the owners this slice has.
    pub fn dispatch(&mut self, handlers: &mut [&mut dyn Handler]) {
        while let Some(index) = self.tcp.next_with_events() {
            match self.tcp.take_progress(index) {
                Some(progress) => self.deliver_progress(progress, handlers),
                None => self.deliver_all_of(index, handlers),
            }
        }
        while let Some(delivery) = self.udp.next_delivery() {
            self.deliver_udp(delivery, handlers);
        }
        while let Some((owner, pcb, report)) = self.udp.next_error() {
            if let Some(handler) = handlers.get_mut(usize::from(owner.0)) {
                handler.udp_err(&mut self.udp_now(), pcb, report);
            }
        }
        #[cfg(feature = "raw")]
        self.dispatch_raw(handlers);
        #[cfg(feature = "packet")]
        while let Some((owner, pcb, frame)) = self.ip.packet.next_frame() {
            if let Some(handler) = handlers.get_mut(usize::from(owner.0)) {
                handler.packet_recv(&mut self.packets_now(), pcb, frame);
            }
        }
    }

    #[cfg(feature = "raw")]
    fn dispatch_raw(&mut self, handlers: &mut [&mut dyn Handler]) {
        while let Some((owner, pcb, packet)) = self.ip.raw.next_packet() {
            if let Some(handler) = handlers.get_mut(usize::from(owner.0)) {
                handler.raw_recv(&mut self.raw_now(), pcb, packet);
            }
        }
        while let Some((owner, pcb, report)) = self.ip.raw.next_error() {
            if let Some(handler) = handlers.get_mut(usize::from(owner.0)) {
                handler.raw_err(&mut self.raw_now(), pcb, report);
            }
        }
    }

    #[inline]
    pub(crate) fn deliver_udp(&mut self, delivery: Delivery, handlers: &mut [&mut dyn Handler]) {
        let Delivery {
            owner,
            pcb,
            datagram,
        } = delivery;
        if let Some(handler) = handlers.get_mut(usize::from(owner.0)) {
            handler.udp_recv(&mut self.udp_now(), pcb, datagram.into_datagram());
        }
    }

    /// The usual: what there is to tell of a connection is data and acknowledgements.
    #[inline]
    fn deliver_progress(&mut self, progress: Progress, handlers: &mut [&mut dyn Handler]) {
        let Progress {
            owner,
            pcb,
            data,
            acked,
        } = progress;
        let Some(handler) = handlers.get_mut(usize::from(owner.0)) else {
            return;
        };
        let tcp = &mut self.tcp_now();
        if let Some(data) = data {
            if let Err(Refused(data)) = handler.recv(tcp, pcb, Some(data)) {
                tcp.put_back(pcb, data);
            }
            // It may have closed it.
            if acked > 0 && !tcp.is_current(pcb) {
                return;
            }
        }
        if acked > 0 {
            handler.sent(tcp, pcb, acked);
        }
    }

    /// Whatever there is to tell of connection `index`, one after the other.
    #[inline(never)]
    fn deliver_all_of(&mut self, index: u16, handlers: &mut [&mut dyn Handler]) {
        while let Some((owner, event)) = self.tcp.next_event(index) {
            if let Some(handler) = handlers.get_mut(usize::from(owner.0)) {
                self.deliver_tcp(*handler, event);
            }
        }
    }

    fn deliver_tcp(&mut self, handler: &mut dyn Handler, event: Event) {
        let tcp = &mut self.tcp_now();
        match event {
            Event::Accept { listener, pcb } => {
                match handler.accept(tcp, listener, pcb) {
                    Ok(()) => tcp.accept_done(pcb),
                    // Stale only if the callback aborted it itself.
                    Err(_) => drop(tcp.refuse(pcb)),
                }
            }
            Event::Connected { pcb } => handler.connected(tcp, pcb),
            Event::Recv {
                pcb,
                data: Some(data),
            } => {
                if let Err(Refused(data)) = handler.recv(tcp, pcb, Some(data)) {
                    tcp.put_back(pcb, data);
                }
            }
            Event::Recv { pcb, data: None } => {
                // The end of stream is told once; there is nothing to give back.
                let _ = handler.recv(tcp, pcb, None);
            }
            Event::Sent { pcb, len } => handler.sent(tcp, pcb, len),
            Event::Poll { pcb } => handler.poll(tcp, pcb),
            Event::Err { pcb, error } => handler.err(tcp, pcb, error),
        }
    }

    /// Runs the [`Handler::wake`] of each owner whose bit is set in `owners`.
    ///
    /// To be followed by a [`Stack::turn`], which sends what they wrote.
    pub fn wake(&mut self, now: Instant, owners: u32, handlers: &mut [&mut dyn Handler]) {
        self.set_now(now);
        for (n, handler) in handlers.iter_mut().enumerate().take(32) {
            if owners & 1 << n != 0 {
                handler.wake(self);
            }
        }
    }
}

/// The bit of `owner` in a set of owners, for [`Stack::wake`]; zero from the 33rd owner on.
pub const fn owner_bit(owner: Owner) -> u32 {
    if owner.0 < 32 { 1 << owner.0 } else { 0 }
}
