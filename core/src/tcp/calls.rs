//! The calls of the raw API as the engine carries them out. Their contracts are documented at
//! [`Tcp`](super::Tcp).
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::config::Use;
use crate::error::Error;
use crate::handle::{TcpListener, TcpPcb};
use crate::ip::{Destination, HEADROOM, Ip};
use crate::pbuf::{Pbuf, Pool};
use crate::time::Instant;
use crate::wire::tcp::HEADER_LEN;

use super::engine::{BY_PORT, Bound, Engine, PcbSlot, current};
use super::listen;
use super::pcb::{Attached, Force, Life, NO_ADDR, Pcb};
use super::receive::{AckDue, PeerFin};
use super::send::Fin;
use super::timers::Timer;
use super::{Cork, Data, More, Shutdown, State, WriteError};

/// Room for the headers of a segment with timestamps in front of its data, which then begins at a
/// multiple of four.
const FRONT: usize = (HEADROOM + HEADER_LEN + 12).next_multiple_of(4);

/// The stack is IPv4 only so far.
pub(crate) fn v4(addr: SocketAddr) -> Result<SocketAddrV4, Error> {
    match addr.ip() {
        IpAddr::V4(ip) => Ok(SocketAddrV4::new(ip, addr.port())),
        IpAddr::V6(_) => Err(Error::Argument),
    }
}

impl Engine {
    pub(super) fn bind(&mut self, ip: &Ip, pcb: TcpPcb, addr: SocketAddr) -> Result<(), Error> {
        let addr = v4(addr)?;
        let index = self.index(pcb)?;
        if self.pcb(pcb)?.state != State::Closed {
            return Err(Error::AlreadyConnected);
        }
        let slot = self.slots.get(usize::from(index)).ok_or(Error::Closed)?;
        if slot.bound() != Bound::No || !(addr.ip().is_unspecified() || ip.is_own(*addr.ip())) {
            return Err(Error::Argument);
        }
        let port = match addr.port() {
            0 => self.pick_port(*addr.ip(), NO_ADDR).ok_or(Error::InUse)?.0,
            port if self.port_is_taken(*addr.ip(), port) => return Err(Error::InUse),
            port => port,
        };
        let local = SocketAddrV4::new(*addr.ip(), port);
        self.pcb_mut(pcb)?.local = local;
        self.own_port(index);
        Ok(())
    }

    /// Whether a listener or an explicitly bound connection has the port at `addr`. Accepted
    /// connections and those in TIME-WAIT do not: they are told apart by their peer, and
    /// RFC 6191 keeps old segments out.
    fn port_is_taken(&self, addr: Ipv4Addr, port: u16) -> bool {
        let clashes = |other: &SocketAddrV4| {
            other.port() == port
                && (addr.is_unspecified() || other.ip().is_unspecified() || *other.ip() == addr)
        };
        listen::at_port(self.listeners, port).any(|(_, slot)| clashes(&slot.local))
            || BY_PORT
                .walk(self.slots, port.into())
                .any(|(_, slot)| clashes(&slot.pcb.local))
    }

    /// A free ephemeral port for a connection from `local` to `remote`, and the hash of that
    /// connection in look-up tables.
    fn pick_port(&mut self, local: Ipv4Addr, remote: SocketAddrV4) -> Option<(u16, u32)> {
        let Self {
            secrets,
            slots,
            listeners,
            time_waits,
            demux,
            ..
        } = self;
        secrets.ephemeral_port(local, remote, |port, hash| {
            let from = SocketAddrV4::new(local, port);
            listen::at_port(listeners, port).next().is_none()
                && !BY_PORT
                    .walk(slots, port.into())
                    .any(|(_, slot)| slot.pcb.local.port() == port)
                // Accepted connections may have the port: of a listener that is gone.
                && demux.find(slots, hash, from, remote).is_none()
                && !time_waits.contains(hash, from, remote)
        })
    }

    pub(super) fn listen(&mut self, pcb: TcpPcb, backlog: u16) -> Result<TcpListener, Error> {
        let index = self.index(pcb)?;
        if self.pcb(pcb)?.state != State::Closed {
            return Err(Error::AlreadyConnected);
        }
        let bound = self.slots.get(usize::from(index)).map(PcbSlot::bound);
        if backlog == 0 || bound != Some(Bound::Own) {
            return Err(Error::Argument);
        }
        self.start_listening(index, backlog)
    }

    pub(super) fn connect(
        &mut self,
        ip: &Ip,
        now: Instant,
        pcb: TcpPcb,
        addr: SocketAddr,
    ) -> Result<(), Error> {
        let remote = v4(addr)?;
        let index = self.index(pcb)?;
        let current = self.pcb(pcb)?;
        if current.state != State::Closed || current.life != Life::Alive {
            return Err(Error::AlreadyConnected);
        }
        let (to, local) = (*remote.ip(), current.local);
        let from = (!local.ip().is_unspecified()).then_some(*local.ip());
        // RFC 9293 §3.9.2.3 (MUST-46): only to unicast addresses.
        if remote.port() == 0 || to.is_unspecified() || to.is_multicast() || to.is_broadcast() {
            return Err(Error::Argument);
        }
        let route = ip.route(to, from)?;
        if route.to != Destination::Unicast {
            return Err(Error::Argument);
        }
        let (local, hash) = match local.port() {
            0 => {
                let picked = self.pick_port(route.src, remote);
                let (port, hash) = picked.ok_or(Error::InUse)?;
                (SocketAddrV4::new(route.src, port), hash)
            }
            port => {
                let local = SocketAddrV4::new(route.src, port);
                let hash = self.secrets.table_hash(local, remote);
                // A pair in TIME-WAIT stays there: this side opens no connection in its place.
                if self.demux.find(self.slots, hash, local, remote).is_some()
                    || self.time_waits.contains(hash, local, remote)
                {
                    return Err(Error::InUse);
                }
                (local, hash)
            }
        };
        if local == remote {
            return Err(Error::InUse);
        }
        let iss = self.secrets.isn(local, remote, now);
        let stamped = (self.config.timestamps == Use::On)
            .then(|| self.secrets.timestamp_offset(local, remote));
        let Self { slots, config, .. } = self;
        let slot = slots.get_mut(usize::from(index)).ok_or(Error::Closed)?;
        let pcb = &mut slot.pcb;
        (pcb.local, pcb.remote) = (local, remote);
        pcb.snd.start(iss);
        pcb.snd.mss = pcb.settings.own_mss(route.mtu, config);
        pcb.rcv.shift = pcb.settings.shift(config);
        pcb.negotiated.timestamps = stamped;
        pcb.fit_segments();
        pcb.state = State::SynSent;
        pcb.syn_due = true;
        self.stats.active_opens += 1;
        self.own_port(index);
        self.demux.insert(self.slots, index, hash);
        self.settle_output(index);
        Ok(())
    }

    pub(super) fn write<'d>(
        &mut self,
        handle: TcpPcb,
        data: Data<'d>,
        more: More,
    ) -> Result<(), WriteError<'d>> {
        let result = self.enqueue(handle, data, more);
        if let Err(refused) = &result
            && refused.error == Error::NoMemory
            && self
                .pcb(handle)
                .is_ok_and(|pcb| pcb.settings.cork == Cork::On)
        {
            // A cork waits for more data; there is no room for more until some has left.
            let _ = self.flush(handle);
        }
        result
    }

    fn enqueue<'d>(
        &mut self,
        handle: TcpPcb,
        data: Data<'d>,
        more: More,
    ) -> Result<(), WriteError<'d>> {
        let pool = self.tx_pool;
        let most_parts = usize::from(self.config.snd_queuelen);
        let checked = current(self.slots, handle).and_then(|slot| {
            slot.pcb.may_write(&data, pool, most_parts)?;
            Ok(slot)
        });
        let slot = match checked {
            Ok(slot) => slot,
            Err(error) => return Err(WriteError { error, data }),
        };
        let queue = &mut slot.pcb.snd.queue;
        match data {
            Data::Copy(bytes) => {
                // All or nothing: the part that does not fit behind the last write is allocated
                // before anything is changed.
                let fits = queue.tail_room().min(bytes.len());
                let (first, rest) = bytes.split_at(fits);
                if !rest.is_empty() {
                    // Room for the headers, if it is to be had for nothing.
                    let fits = FRONT + rest.len() <= pool.block_size();
                    let headroom = if fits { FRONT } else { 0 };
                    let Ok(mut fresh) = Pbuf::alloc(pool, headroom, rest.len()) else {
                        return Err(WriteError {
                            error: Error::NoMemory,
                            data,
                        });
                    };
                    fresh.copy_from(rest);
                    if !first.is_empty() {
                        queue.append_copy(first);
                    }
                    queue.push(fresh);
                } else {
                    queue.append_copy(first);
                }
            }
            Data::Static(bytes) => match Pbuf::from_static(pool, bytes) {
                Ok(p) => queue.push(p),
                Err(_) => {
                    return Err(WriteError {
                        error: Error::NoMemory,
                        data,
                    });
                }
            },
            Data::Pbuf(p) => queue.push(p),
        }
        if more == More::No {
            slot.pcb.snd.push = Some(slot.pcb.snd.queue_end());
        }
        if slot.needs_output() {
            self.output_again(handle.0.slot);
        }
        Ok(())
    }

    pub(super) fn flush(&mut self, handle: TcpPcb) -> Result<(), Error> {
        let index = handle.0.slot;
        let pcb = self.pcb_mut(handle)?;
        if pcb.force == Force::No && pcb.snd.unsent() > 0 {
            pcb.force = Force::Flush;
        }
        self.settle_output(index);
        Ok(())
    }

    pub(super) fn recved(&mut self, handle: TcpPcb, len: usize) -> Result<(), Error> {
        let Self {
            slots, config, now, ..
        } = self;
        let slot = current(slots, handle)?;
        let pcb = &mut slot.pcb;
        let len = u32::try_from(len).unwrap_or(u32::MAX).min(pcb.rcv.unread);
        pcb.rcv.unread -= len;
        pcb.consumed(len, *now, config);
        let mss = pcb.effective_mss();
        // Mostly it is not; then there is nothing to send, and no timer to set.
        if pcb.rcv.update_is_due(mss) && pcb.is_synchronized() && pcb.rcv.fin == PeerFin::Open {
            pcb.rcv.acknowledge(AckDue::Now);
            if slot.needs_output() {
                self.output_again(handle.0.slot);
            }
        }
        Ok(())
    }

    /// The application took nothing of `data`: it goes back to the front of the queue.
    pub(super) fn put_back(&mut self, handle: TcpPcb, data: Pbuf) {
        let now = self.now;
        let Ok(index) = self.index(handle) else {
            return;
        };
        let Ok(pcb) = self.pcb_mut(handle) else {
            return;
        };
        let len = u32::try_from(data.tot_len()).unwrap_or(u32::MAX);
        pcb.rcv.unread = pcb.rcv.unread.saturating_sub(len);
        pcb.rcv.queue.push_front(data);
        pcb.pending.refused = true;
        // The timer offers it again, also when the connection has ended meanwhile.
        pcb.timers
            .start(Timer::Refused, now, core::time::Duration::from_millis(250));
        self.settle(index);
    }

    pub(super) fn close(&mut self, handle: TcpPcb, now: Instant) -> Result<(), Error> {
        let index = handle.0.slot;
        let pcb = self.pcb_mut(handle)?;
        pcb.closed = true;
        match pcb.state {
            // RFC 9293 §3.10.4: nothing to tell anybody.
            State::Closed if pcb.life == Life::Alive => {
                self.free(index);
                return Ok(());
            }
            State::Closed => {}
            State::SynSent => {
                self.free(index);
                return Ok(());
            }
            State::FinWait2 => {
                let wait = self.config.fin_wait_2;
                if let Some(pcb) = self.at_mut(index) {
                    pcb.timers.start(Timer::FinWait2, now, wait);
                }
            }
            _ => pcb.queue_fin(),
        }
        self.settle(index);
        Ok(())
    }

    pub(super) fn orphan(
        &mut self,
        ip: &mut Ip,
        handle: TcpPcb,
        now: Instant,
    ) -> Result<(), Error> {
        let index = handle.0.slot;
        let pcb = self.pcb_mut(handle)?;
        let unread = pcb.rcv.unread > 0 || !pcb.rcv.queue.is_empty() || !pcb.rcv.runs.is_empty();
        let over = pcb.life != Life::Alive;
        self.release_backlog(index);
        if over {
            self.free(index);
            return Ok(());
        }
        if unread {
            // RFC 9293 §3.10.4, RFC 2525 §2.17: the peer has to learn that its data was lost.
            return self.abort(ip, handle, now);
        }
        self.close(handle, now)?;
        // `close` may have freed the block.
        if self.index(handle).is_ok() {
            self.make_stale(index);
            if let Some(pcb) = self.at_mut(index) {
                pcb.attached = Attached::Orphan;
                pcb.timers.stop(Timer::Poll);
            }
            self.note_orphan(index);
        }
        Ok(())
    }

    pub(super) fn shutdown(
        &mut self,
        handle: TcpPcb,
        how: Shutdown,
        now: Instant,
    ) -> Result<(), Error> {
        let index = handle.0.slot;
        let pcb = self.pcb_mut(handle)?;
        if matches!(pcb.state, State::Closed | State::SynSent) {
            return Err(Error::NotConnected);
        }
        if how != Shutdown::Write {
            pcb.read_shut = true;
            pcb.rcv.queue.clear();
            pcb.rcv.unread = 0;
        }
        match how {
            Shutdown::Read => {}
            Shutdown::Write => pcb.queue_fin(),
            Shutdown::Both => return self.close(handle, now),
        }
        self.settle(index);
        Ok(())
    }

    pub(super) fn abort(&mut self, ip: &mut Ip, handle: TcpPcb, now: Instant) -> Result<(), Error> {
        let index = self.index(handle)?;
        self.reset_peer(ip, now, index);
        self.free(index);
        Ok(())
    }

    pub(super) fn close_listener(
        &mut self,
        ip: &mut Ip,
        listener: TcpListener,
        now: Instant,
    ) -> Result<(), Error> {
        self.listener_mut(listener).ok_or(Error::Closed)?;
        for record in self.syns.numbers() {
            let half_open = self.syns.at(record).map(|slot| *slot);
            let Some(slot) = half_open.filter(|slot| slot.listener == Some(listener)) else {
                continue;
            };
            self.drop_half_open(record);
            let seq = slot.iss + 1;
            self.send_reset(ip, now, slot.local, slot.remote, seq, Some(slot.irs + 1));
        }
        for index in 0..self.slots.len() {
            let Ok(index) = u16::try_from(index) else {
                break;
            };
            let waits = self
                .at(index)
                .is_some_and(|pcb| pcb.pending.accept == Some(listener));
            if waits {
                self.reset_peer(ip, now, index);
                self.free(index);
            }
        }
        self.free_listener(listener)
    }

    /// A callback refused the connection it was offered.
    pub(super) fn refuse(&mut self, ip: &mut Ip, pcb: TcpPcb, now: Instant) -> Result<(), Error> {
        self.abort(ip, pcb, now)
    }

    /// A callback accepted a connection: its backlog place is free unless it holds it.
    pub(super) fn accept_done(&mut self, handle: TcpPcb) {
        let Ok(index) = self.index(handle) else {
            return;
        };
        if self.at(index).is_some_and(|pcb| !pcb.accept_delayed) {
            self.release_backlog(index);
        }
    }

    pub(super) fn accepted(&mut self, handle: TcpPcb) -> Result<(), Error> {
        let index = self.index(handle)?;
        self.release_backlog(index);
        Ok(())
    }
}

impl Pcb {
    /// Whether all of `data` may be queued: in descriptors of `pool`, `most_parts` of them.
    fn may_write(&self, data: &Data<'_>, pool: &Pool, most_parts: usize) -> Result<(), Error> {
        self.can_write()?;
        let (len, parts) = match data {
            Data::Copy(bytes) => (bytes.len(), pieces(bytes.len(), pool.block_size())),
            Data::Static(bytes) => (bytes.len(), pieces(bytes.len(), u16::MAX.into())),
            Data::Pbuf(p) => (p.tot_len(), p.clen()),
        };
        let room = usize::try_from(self.snd.room()).unwrap_or(usize::MAX);
        match len > room || self.snd.queue.parts() + parts > most_parts {
            true => Err(Error::NoMemory),
            false => Ok(()),
        }
    }

    /// The application is done sending.
    fn queue_fin(&mut self) {
        if self.snd.fin != Fin::Open {
            return;
        }
        self.snd.fin = Fin::Queued;
        // RFC 9293 §3.10.4: the state changes now, the FIN follows the data.
        match self.state {
            State::Established => self.state = State::FinWait1,
            State::CloseWait => self.state = State::LastAck,
            _ => {}
        }
    }
}

/// How many pieces of up to `most` bytes `len` bytes are; mostly one, without a division.
fn pieces(len: usize, most: usize) -> usize {
    match len <= most {
        true => usize::from(len > 0),
        false => len.div_ceil(most.max(1)),
    }
}
