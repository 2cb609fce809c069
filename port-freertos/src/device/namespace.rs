//! A network namespace of one's own, and interfaces in it: so that tests and examples touch nothing
//! of the machine they run on. Needs no program such as `ip`.
use core::fmt;
use core::net::Ipv4Addr;
use std::format;
use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::string::String;

use gannet_core::HwAddr;

use super::frame_io::check;
use super::tap::interface_request;

/// Why there is no network namespace or interface: one sentence with the permission that is
/// missing.
#[derive(Debug)]
pub struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Unavailable {}

/// Moves the calling thread, and the threads and tasks it starts from now on, to a new network
/// namespace with nothing in it but a loopback interface that is down.
///
/// # Errors
///
/// [`Unavailable`]. Without `CAP_SYS_ADMIN` it takes a user namespace too, which the system must
/// permit and which is possible only as long as the process has one thread (not in tests).
pub fn enter() -> Result<(), Unavailable> {
    // SAFETY: no pointers.
    let privileged = check(unsafe { libc::unshare(libc::CLONE_NEWNET) });
    match privileged {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => enter_as_user(),
        Err(error) => Err(Unavailable(format!(
            "a network namespace can't be made: {error}"
        ))),
    }
}

fn enter_as_user() -> Result<(), Unavailable> {
    // SAFETY: no pointers, can't fail.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    // SAFETY: no pointers.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) }).map_err(|error| {
        Unavailable(format!(
            "a network namespace needs CAP_SYS_ADMIN, or the right to make user namespaces in a \
             process of one thread: {error}"
        ))
    })?;
    // Root in there, or the interfaces in there could not be configured.
    for (file, text) in [
        ("setgroups", String::from("deny")),
        ("uid_map", format!("0 {user} 1")),
        ("gid_map", format!("0 {group} 1")),
    ] {
        fs::write(format!("/proc/self/{file}"), text).map_err(|error| {
            Unavailable(format!(
                "/proc/self/{file} of a user namespace can't be written: {error}"
            ))
        })?;
    }
    Ok(())
}

/// Gives the interface `name` an address and, if `hw` says one, a hardware address, and sets it up.
/// `prefix_len` is the length of the network's prefix, 0 to 32.
///
/// # Errors
///
/// [`Unavailable`] without `CAP_NET_ADMIN` in the namespace, or without the interface.
pub fn configure(
    name: &str,
    hw: Option<HwAddr>,
    address: Ipv4Addr,
    prefix_len: u8,
) -> Result<(), Unavailable> {
    // No IPv6 neighbour discovery of Linux's own on the wire, where that can be had.
    drop(fs::write(
        format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"),
        "1",
    ));
    if let Some(HwAddr(bytes)) = hw {
        change(name, "hardware address", libc::SIOCSIFHWADDR, |request| {
            // SAFETY: plain data, for which zeros are a value.
            let mut address: libc::sockaddr = unsafe { core::mem::zeroed() };
            address.sa_family = libc::ARPHRD_ETHER;
            for (to, from) in address.sa_data.iter_mut().zip(bytes) {
                *to = from as libc::c_char;
            }
            request.ifr_ifru.ifru_hwaddr = address;
        })?;
    }
    change(name, "address", libc::SIOCSIFADDR, |request| {
        request.ifr_ifru.ifru_addr = socket_address(address);
    })?;
    let mask = u32::MAX
        .checked_shl(32 - u32::from(prefix_len.min(32)))
        .unwrap_or(0);
    change(name, "netmask", libc::SIOCSIFNETMASK, |request| {
        request.ifr_ifru.ifru_netmask = socket_address(mask.into());
    })?;
    set_up(name)
}

/// Sets the loopback interface up.
///
/// # Errors
///
/// [`Unavailable`] without `CAP_NET_ADMIN` in the namespace.
pub fn loopback_up() -> Result<(), Unavailable> {
    set_up("lo")
}

fn set_up(name: &str) -> Result<(), Unavailable> {
    change(name, "flags", libc::SIOCSIFFLAGS, |request| {
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    })
}

/// One ioctl on the interface `name`.
fn change(
    name: &str,
    what: &str,
    ioctl: libc::Ioctl,
    fill: impl FnOnce(&mut libc::ifreq),
) -> Result<(), Unavailable> {
    let attempt = || -> io::Result<()> {
        // Any socket of the namespace will do; an unbound one sends nothing.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let mut request = interface_request(name)?;
        fill(&mut request);
        // SAFETY: these ioctls read and write one `ifreq`.
        check(unsafe { libc::ioctl(socket.as_raw_fd(), ioctl, &raw mut request) })?;
        Ok(())
    };
    attempt().map_err(|error| {
        Unavailable(match error.raw_os_error() {
            Some(libc::EPERM) => format!("setting the {what} of {name} needs CAP_NET_ADMIN"),
            _ => format!("the {what} of {name} can't be set: {error}"),
        })
    })
}

/// A `sockaddr_in` in the clothes of a `sockaddr`.
fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    // SAFETY: plain data, for which zeros are a value.
    let mut generic: libc::sockaddr = unsafe { core::mem::zeroed() };
    generic.sa_family = libc::AF_INET as libc::sa_family_t;
    // Two bytes of port, then the address, in network order.
    for (to, from) in generic.sa_data.iter_mut().skip(2).zip(address.octets()) {
        *to = from as libc::c_char;
    }
    generic
}
