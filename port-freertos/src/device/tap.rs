//! A TAP device: an Ethernet interface of the Linux kernel whose cable ends in this process.
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::string::String;
use std::sync::Arc;

use gannet_core::{Capabilities, Driver, Pbuf};

use super::fd_device::FdDevice;
use super::frame_io::{Framing, check};
use super::{DeviceCounters, Setup};

/// A TAP device as the board's network interface.
///
/// The other end is an interface of Linux, to be configured there ([`namespace`](super::namespace)).
pub struct Tap {
    device: FdDevice,
    name: String,
}

impl Tap {
    /// Opens the TAP interface `name`, or makes it; with an empty name Linux picks one (`tap0`).
    ///
    /// # Errors
    ///
    /// As [`Tap::attach`].
    pub fn open(name: &str, setup: Setup) -> io::Result<Self> {
        let (fd, name) = Self::attach(name)?;
        Ok(Self {
            device: FdDevice::new(fd, setup, Framing::Plain)?,
            name,
        })
    }

    /// As [`Tap::open`], with Linux's offloads: TCP and UDP checksums are neither computed nor
    /// verified between the two, and TCP segments of up to 64 KiB pass in both directions
    /// (`IFF_VNET_HDR`). Such a segment fills blocks of the receive pool: the pool should have 64 KiB
    /// to spare.
    ///
    /// # Errors
    ///
    /// As [`Tap::attach`].
    pub fn open_offloading(name: &str, setup: Setup) -> io::Result<Self> {
        let (fd, name) = Self::attach_offloading(name)?;
        Ok(Self {
            device: FdDevice::new(fd, setup, Framing::Vnet)?,
            name,
        })
    }

    /// The descriptor and name of a TAP interface, opened as by [`Tap::open`]: one frame per read
    /// and write. For a program that opens it for another one
    /// ([`FramePair::from_fd`](super::FramePair::from_fd) runs a board on it).
    ///
    /// # Errors
    ///
    /// Those of the system: needs read and write permission on `/dev/net/tun`, and `CAP_NET_ADMIN`
    /// in the network namespace or an interface made for this user.
    pub fn attach(name: &str) -> io::Result<(OwnedFd, String)> {
        attach(name, libc::IFF_TAP | libc::IFF_NO_PI)
    }

    /// As [`Tap::attach`], with offloads: before each frame comes a `struct virtio_net_hdr`
    /// ([`Polled::offloading`](super::Polled::offloading)).
    ///
    /// # Errors
    ///
    /// As [`Tap::attach`].
    pub fn attach_offloading(name: &str) -> io::Result<(OwnedFd, String)> {
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        let (fd, name) = attach(name, flags)?;
        let offloads = libc::TUN_F_CSUM | libc::TUN_F_TSO4;
        // SAFETY: TUNSETOFFLOAD takes flags.
        check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETOFFLOAD as _, offloads) })?;
        Ok((fd, name))
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its counters, to keep when the stack has taken over the device.
    pub fn counters(&self) -> Arc<DeviceCounters> {
        Arc::clone(self.device.counters())
    }
}

impl Driver for Tap {
    fn capabilities(&self) -> Capabilities {
        self.device.capabilities()
    }

    fn receive(&mut self) -> Option<Pbuf> {
        self.device.receive()
    }

    fn can_transmit(&mut self) -> bool {
        self.device.can_transmit()
    }

    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        self.device.transmit(frame, None)
    }

    fn transmit_large(&mut self, frame: Pbuf, mss: u16) -> Result<(), Pbuf> {
        self.device.transmit(frame, Some(mss))
    }
}

fn attach(name: &str, flags: libc::c_int) -> io::Result<(OwnedFd, String)> {
    let fd: OwnedFd = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?
        .into();
    let mut request = interface_request(name)?;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one `ifreq`.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) })?;
    let name = request.ifr_name.iter().take_while(|c| **c != 0);
    Ok((fd, name.map(|c| *c as u8 as char).collect()))
}

/// An `ifreq` that names an interface.
pub(super) fn interface_request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: plain data, for which zeros are a value.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "an interface name has at most 15 bytes",
        ));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}
