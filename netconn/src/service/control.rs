//! Bind, connect, listen: the calls whose callers sleep until they are carried out.
use core::net::{Ipv4Addr, SocketAddr};

use gannet_core::udp::Reuse;
use gannet_core::{Stack, TcpPcb, UdpPcb, Via};

use super::Service;
use crate::control::{Control, Kind};
use crate::error::Error;
use crate::shared::{Attached, NO_ADDR, Phase};

impl Service {
    /// Carries out the control call of connection `index` and wakes whoever asked.
    pub(super) fn control(&mut self, stack: &mut Stack, index: u16) {
        let Some((what, kind)) = self
            .net
            .with(index, |shared, _| (shared.control, shared.kind))
        else {
            return;
        };
        let result = match (what, kind) {
            (Control::Idle | Control::Done(_), _) => return,
            (_, Kind::Pair | Kind::DatagramPair | Kind::Event) => Err(Error::NotSupported),
            #[cfg(feature = "raw")]
            (Control::Open, Kind::Raw(protocol)) => self.open_raw(stack, index, protocol),
            #[cfg(feature = "raw")]
            (Control::Bind(addr), Kind::Raw(_)) => self.bind_raw(stack, index, addr),
            #[cfg(feature = "raw")]
            (Control::Connect(addr), Kind::Raw(_)) => self.connect_raw(stack, index, addr),
            #[cfg(feature = "raw")]
            (Control::Disconnect, Kind::Raw(_)) => self.disconnect_raw(stack, index),
            #[cfg(feature = "packet")]
            (Control::Watch(filter, netif), Kind::Packet) => {
                self.watch(stack, index, filter, netif)
            }
            (Control::Bind(addr), Kind::Tcp) => self.bind_tcp(stack, index, addr),
            (Control::Bind(addr), Kind::Udp) => self.bind_udp(stack, index, addr),
            (Control::Connect(addr), Kind::Tcp) => self.connect_tcp(stack, index, addr),
            (Control::Connect(addr), Kind::Udp) => self.connect_udp(stack, index, addr),
            (Control::Disconnect, Kind::Udp) => self.disconnect_udp(stack, index),
            (Control::Listen(backlog), Kind::Tcp) => self.listen(stack, index, backlog),
            (Control::Info, Kind::Tcp) => self.info(stack, index),
            (Control::Join(group, via), Kind::Udp) => self.join(stack, index, group, via),
            (Control::Leave(group, via), Kind::Udp) => self.leave(stack, index, group, via),
            (Control::MulticastInterface(via), Kind::Udp) => {
                self.multicast_interface(stack, index, via)
            }
            (Control::SendAll, _) => self.send_all(stack, index),
            _ => Err(Error::NotSupported),
        };
        self.net
            .with(index, |shared, _| shared.control = Control::Done(result));
        self.net.wake_all(index);
    }

    /// The control block of `index`, made if there is none yet.
    fn tcp_pcb(&self, stack: &mut Stack, index: u16) -> Result<TcpPcb, Error> {
        if let Attached::Tcp(pcb) = self.attached(index) {
            return Ok(pcb);
        }
        let mut tcp = stack.tcp_now();
        let pcb = tcp.new(self.owner)?;
        tcp.arg(pcb, usize::from(index))?;
        self.net
            .with(index, |shared, _| shared.attached = Attached::Tcp(pcb));
        Ok(pcb)
    }

    pub(super) fn udp_pcb(&self, stack: &mut Stack, index: u16) -> Result<UdpPcb, Error> {
        if let Attached::Udp(pcb) = self.attached(index) {
            return Ok(pcb);
        }
        let mut udp = stack.udp_now();
        let pcb = udp.new(self.owner)?;
        udp.arg(pcb, usize::from(index))?;
        let settings = self.net.with(index, |shared, _| {
            shared.attached = Attached::Udp(pcb);
            shared.settings
        });
        self.apply_udp(&mut udp, pcb, settings.unwrap_or_default());
        Ok(pcb)
    }

    fn bind_tcp(&self, stack: &mut Stack, index: u16, addr: SocketAddr) -> Result<(), Error> {
        let pcb = self.tcp_pcb(stack, index)?;
        let mut tcp = stack.tcp_now();
        let bound = tcp.local_addr(pcb)?;
        if bound.port() != 0 {
            return Err(Error::Invalid);
        }
        tcp.bind(pcb, addr).map_err(bind_error)?;
        let local = tcp.local_addr(pcb)?;
        self.net.with(index, |shared, _| shared.local = local);
        Ok(())
    }

    fn bind_udp(&self, stack: &mut Stack, index: u16, addr: SocketAddr) -> Result<(), Error> {
        let pcb = self.udp_pcb(stack, index)?;
        let mut udp = stack.udp_now();
        if udp.local_addr(pcb)?.port() != 0 {
            return Err(Error::Invalid);
        }
        let reuse = self
            .net
            .with(index, |shared, _| shared.settings.reuse_address);
        if reuse == Some(true) {
            udp.reuse(pcb, Reuse::Shared)?;
        }
        udp.bind(pcb, addr).map_err(bind_error)?;
        let local = udp.local_addr(pcb)?;
        self.net.with(index, |shared, _| shared.local = local);
        Ok(())
    }

    fn connect_tcp(&self, stack: &mut Stack, index: u16, addr: SocketAddr) -> Result<(), Error> {
        let pcb = self.tcp_pcb(stack, index)?;
        let mut tcp = stack.tcp_now();
        self.apply_tcp(&mut tcp, index, pcb);
        tcp.connect(pcb, addr)?;
        let local = tcp.local_addr(pcb)?;
        self.net.with(index, |shared, _| {
            shared.phase = Phase::Connecting;
            (shared.local, shared.remote) = (local, addr);
        });
        Ok(())
    }

    fn connect_udp(&self, stack: &mut Stack, index: u16, addr: SocketAddr) -> Result<(), Error> {
        let pcb = self.udp_pcb(stack, index)?;
        let mut udp = stack.udp_now();
        udp.connect(pcb, addr)?;
        let local = udp.local_addr(pcb)?;
        self.net.with(index, |shared, cs| {
            shared.phase = Phase::Connected;
            (shared.local, shared.remote) = (local, addr);
            // POSIX connect: from now on only the peer's datagrams are received, which goes for
            // those queued too.
            self.net
                .datagrams
                .keep_from(cs, &mut shared.inbox, |peer| peer == addr);
        });
        Ok(())
    }

    fn disconnect_udp(&self, stack: &mut Stack, index: u16) -> Result<(), Error> {
        let pcb = self.udp_pcb(stack, index)?;
        stack.udp_now().disconnect(pcb)?;
        self.net.with(index, |shared, _| {
            shared.phase = Phase::Idle;
            shared.remote = NO_ADDR;
        });
        Ok(())
    }

    fn join(&self, stack: &mut Stack, index: u16, group: Ipv4Addr, via: Via) -> Result<(), Error> {
        let pcb = self.udp_pcb(stack, index)?;
        Ok(stack.udp_now().join_group(pcb, group, via)?)
    }

    fn leave(&self, stack: &mut Stack, index: u16, group: Ipv4Addr, via: Via) -> Result<(), Error> {
        let pcb = self.udp_pcb(stack, index)?;
        Ok(stack.udp_now().leave_group(pcb, group, via)?)
    }

    fn multicast_interface(&self, stack: &mut Stack, index: u16, via: Via) -> Result<(), Error> {
        let pcb = self.udp_pcb(stack, index)?;
        stack.udp_now().multicast_interface(pcb, via)?;
        // Another destination to be asked about.
        self.net.with(index, |shared, _| {
            shared.settings.multicast_interface = via;
            shared.reachable = NO_ADDR;
        });
        Ok(())
    }

    /// Leaves the answer in the net, for the slot has no room.
    fn info(&self, stack: &mut Stack, index: u16) -> Result<(), Error> {
        let Attached::Tcp(pcb) = self.attached(index) else {
            return Err(Error::NotConnected);
        };
        let info = stack.tcp_now().info(pcb)?;
        self.net.leave_info(index, info);
        Ok(())
    }

    fn listen(&self, stack: &mut Stack, index: u16, backlog: u16) -> Result<(), Error> {
        let pcb = self.tcp_pcb(stack, index)?;
        let mut tcp = stack.tcp_now();
        self.apply_tcp(&mut tcp, index, pcb);
        if tcp.local_addr(pcb)?.port() == 0 {
            tcp.bind(pcb, NO_ADDR).map_err(bind_error)?;
        }
        let listener = tcp.listen(pcb, backlog)?;
        let local = tcp.listener_addr(listener)?;
        self.net.with(index, |shared, _| {
            shared.attached = Attached::Listener(listener);
            shared.phase = Phase::Listening;
            shared.local = local;
        });
        Ok(())
    }
}

/// What `bind` calls an argument error is, after the checks here, an address that is not ours.
pub(super) fn bind_error(error: gannet_core::Error) -> Error {
    match error {
        gannet_core::Error::Argument => Error::AddressNotAvailable,
        error => error.into(),
    }
}
