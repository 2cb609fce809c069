//! The kernel's side: a network namespace with three servers.
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

use gannet_tests_linux::linux::{Linux, Offloads, address};
use rustix::net::sockopt;

use super::{Job, WINDOW};

/// Of the first server.
const PORT: u16 = 9_000;

/// A kernel of one's own.
pub(super) struct Kernel {
    linux: Linux,
}

impl Kernel {
    pub(super) fn new(number: u8, offloads: Offloads) -> Result<(Self, OwnedFd), String> {
        // The station's own number, and the kernel's.
        let (linux, cable) = Linux::with_offloads(number + 100, offloads)?;
        for (n, serve) in (0..).zip([discard as fn(TcpStream), give, echo]) {
            let at = SocketAddr::from((linux.address(), PORT + n));
            let listener = linux
                .run(move || listen(at))
                .map_err(|error| error.to_string())?;
            std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
        }
        Ok((Self { linux }, cable))
    }

    /// Where the other side of `job` is.
    pub(super) fn server(&self, job: Job) -> SocketAddr {
        let n = match job {
            Job::Send(_) => 0,
            Job::Receive(_) => 1,
            Job::RoundTrips(..) => 2,
        };
        (self.linux.address(), PORT + n).into()
    }
}

/// The address of the stack that has this kernel as its peer.
pub(super) fn station() -> Ipv4Addr {
    address(1)
}

/// With CUBIC, which its connections inherit: paced, as with BBR, the kernel would wait between its
/// segments. A namespace may not make it the default, but who administers it may choose it.
fn listen(at: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(at)?;
    sockopt::set_tcp_congestion(&listener, "cubic")
        .or_else(|_| sockopt::set_tcp_congestion(&listener, "reno"))?;
    Ok(listener)
}

/// Woken for every half window: a wake-up for each segment, and a switch to this thread and back or
/// none as the scheduler pleases, would be the larger part of what is measured.
fn discard(mut stream: TcpStream) {
    wake_at(&stream, WINDOW as libc::c_int / 2).expect("an option of any socket");
    let mut buffer = vec![0; 256 << 10];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

fn wake_at(stream: &TcpStream, bytes: libc::c_int) -> std::io::Result<()> {
    let len = size_of_val(&bytes) as libc::socklen_t;
    let value = (&raw const bytes).cast();
    // SAFETY: the value is an integer that lives as long as the call, and has that length.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            value,
            len,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

fn give(mut stream: TcpStream) {
    let buffer = vec![0x5a; 256 << 10];
    while stream.write_all(&buffer).is_ok() {}
}

fn echo(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buffer = vec![0; 4_096];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}
