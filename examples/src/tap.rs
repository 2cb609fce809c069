//! The way to the board over a TAP device: the kernel is the peer, in a network namespace of its
//! own or in the present one, and forwarded ports go through its sockets.
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use gannet_port_freertos::device::Tap;
use gannet_port_freertos::device::namespace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::gateway::{Forwards, reset};
use crate::path::{Faults, Path};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Silence after which the sender of datagrams is forgotten.
const UDP_IDLE: Duration = Duration::from_secs(60);
const LARGEST_FRAME: usize = 2_048;

/// Enters a network namespace of its own and makes a TAP device there, whose other end is the
/// kernel's interface with the address `gateway`. To be called while the process has one thread.
pub(crate) fn in_own_namespace(gateway: Ipv4Addr, prefix: u8) -> Result<OwnedFd, String> {
    namespace::enter().map_err(|error| error.to_string())?;
    namespace::loopback_up().map_err(|error| error.to_string())?;
    let (fd, name) = attach("")?;
    namespace::configure(&name, None, gateway, prefix).map_err(|error| error.to_string())?;
    Ok(fd)
}

/// Opens the TAP device `name`; an empty name makes one.
pub(crate) fn attach(name: &str) -> Result<(OwnedFd, String), String> {
    Tap::attach(name).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "a TAP device needs read and write permission on /dev/net/tun, and CAP_NET_ADMIN or a \
             device made for this user (ip tuntap add dev NAME mode tap user $USER): {error}"
        ),
        io::ErrorKind::NotFound => {
            format!("a TAP device needs /dev/net/tun, which is not there: {error}")
        }
        _ => format!("the TAP device can't be opened: {error}"),
    })
}

/// Carries frames between two descriptors over a path with `faults`, in a thread, until one ends.
pub(crate) fn relay(kernel: OwnedFd, board: OwnedFd, faults: Faults) {
    thread::spawn(move || {
        // An end of the link is the end of the relay; the host notices by itself.
        let _ = carry(&kernel, &board, faults);
    });
}

fn carry(kernel: &OwnedFd, board: &OwnedFd, faults: Faults) -> rustix::io::Result<()> {
    rustix::io::ioctl_fionbio(kernel, true)?;
    rustix::io::ioctl_fionbio(board, true)?;
    let mut paths = [
        (kernel, board, Path::new(faults, 1)),
        (board, kernel, Path::new(faults, 2)),
    ];
    loop {
        let now = Instant::now();
        for (from, to, path) in &mut paths {
            let mut frame = [0; LARGEST_FRAME];
            loop {
                match rustix::io::read(*from, &mut frame) {
                    Ok(0) => return Ok(()),
                    Ok(len) => path.push(now, frame.get(..len).unwrap_or(&[])),
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error),
                }
            }
            while let Some(frame) = path.pop(now) {
                // A full link, or one that is down, loses it.
                let _ = rustix::io::write(*to, &frame);
            }
        }
        let next = paths
            .iter()
            .filter_map(|(.., path)| path.next_arrival())
            .min();
        let timeout = next.map(|due| {
            let timeout = due.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
                tv_nsec: timeout.subsec_nanos().into(),
            }
        });
        let mut fds = [kernel, board].map(|fd| PollFd::new(fd, PollFlags::IN));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Forwards to `board` in threads. The sockets of `forwards` may be of another network namespace
/// than the calling thread's, in which the board is.
pub(crate) fn forward(forwards: Forwards, board: Ipv4Addr) {
    for (listener, port) in forwards.tcp {
        let board = SocketAddr::from((board, port));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || splice(client, board));
            }
        });
    }
    for (socket, port) in forwards.udp {
        let board = SocketAddr::from((board, port));
        thread::spawn(move || forward_datagrams(Arc::new(socket), board));
    }
}

fn splice(client: TcpStream, board: SocketAddr) {
    let Ok(board) = TcpStream::connect_timeout(&board, CONNECT_TIMEOUT) else {
        return reset(&client);
    };
    // Without it the small segments of both halves would wait for each other's acknowledgements.
    let _ = (client.set_nodelay(true), board.set_nodelay(true));
    let (client, board) = (Arc::new(client), Arc::new(board));
    let back = {
        let (client, board) = (Arc::clone(&client), Arc::clone(&board));
        thread::spawn(move || copy(&board, &client))
    };
    copy(&client, &board);
    // It doesn't panic.
    let _ = back.join();
}

/// Copies one direction, its end, or its failure.
fn copy(from: &TcpStream, to: &TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    let (mut reader, mut writer) = (from, to);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(n) if writer.write_all(buffer.get(..n).unwrap_or(&[])).is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => {
                for end in [from, to] {
                    reset(end);
                    // Ends the other direction's thread too; the sockets are closed after it.
                    let _ = end.shutdown(Shutdown::Both);
                }
                return;
            }
        }
    }
}

fn forward_datagrams(host: Arc<UdpSocket>, board: SocketAddr) {
    let mut senders: HashMap<SocketAddr, UdpSocket> = HashMap::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((len, from)) = host.recv_from(&mut buffer) else {
            continue;
        };
        if let Entry::Vacant(vacant) = senders.entry(from) {
            match answer_to(Arc::clone(&host), from, board) {
                Ok(socket) => vacant.insert(socket),
                Err(_) => continue,
            };
        }
        let sent = senders
            .get(&from)
            .map(|socket| socket.send(buffer.get(..len).unwrap_or(&[])));
        if !matches!(sent, Some(Ok(_))) {
            senders.remove(&from);
        }
    }
}

/// A socket to the board for the datagrams of `from`, whose answers a thread sends back.
fn answer_to(host: Arc<UdpSocket>, from: SocketAddr, board: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(board)?;
    socket.set_read_timeout(Some(UDP_IDLE))?;
    let answers = socket.try_clone()?;
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok(len) = answers.recv(&mut buffer) {
            let _ = host.send_to(buffer.get(..len).unwrap_or(&[]), from);
        }
    });
    Ok(socket)
}
