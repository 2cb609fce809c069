//! Linux's ends of a bulk transfer: threads with blocking sockets.
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use gannet_core::tcp::CongestionControl;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::bulk::CONNECT;
use crate::linux::Linux;
use crate::middle::timespec;
use crate::stream::{is_stream, stream};

/// How long a blocking call may keep a thread from seeing that it is to end.
const LOOK: Duration = Duration::from_millis(20);
/// Where receivers listen.
pub(crate) const PORT: u16 = 7;

/// Receives the stream for a while.
#[derive(Debug)]
pub(crate) struct Receiver(JoinHandle<io::Result<f64>>);

impl Receiver {
    /// Measures for `span`, beginning `after` the connection was accepted.
    pub(crate) fn start(
        linux: &Linux,
        port: u16,
        after: Duration,
        span: Duration,
    ) -> Result<Self, String> {
        let listener = listen(linux, port)?;
        Ok(Self(thread::spawn(move || receive(&listener, after, span))))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.is_finished()
    }

    /// Bytes per second; waits for it.
    pub(crate) fn goodput(self) -> Result<f64, String> {
        let outcome = self.0.join().map_err(|_| "the receiver has panicked")?;
        outcome.map_err(|error| format!("Linux can't receive: {error}"))
    }
}

/// A listener of `linux`.
pub(crate) fn listen(linux: &Linux, port: u16) -> Result<TcpListener, String> {
    let addr = SocketAddr::from((linux.address(), port));
    linux
        .run(move || TcpListener::bind(addr))
        .map_err(|error| format!("Linux can't listen: {error}"))
}

/// `linux` starts to connect to `to`: a socket that does not block.
///
/// # Panics
/// It cannot.
pub(crate) fn start_connect(linux: &Linux, to: SocketAddr) -> TcpStream {
    let socket: OwnedFd = linux.run(move || {
        let flags = SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
            .expect("a socket");
        match rustix::net::connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => socket,
            Err(error) => panic!("connect: {error}"),
        }
    });
    TcpStream::from(socket)
}

/// Waits for a connection, but not for ever.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let mut fds = [PollFd::new(listener, PollFlags::IN)];
    match poll(&mut fds, Some(&timespec(CONNECT)))? {
        0 => Err(ErrorKind::TimedOut.into()),
        _ => Ok(listener.accept()?.0),
    }
}

fn receive(listener: &TcpListener, after: Duration, span: Duration) -> io::Result<f64> {
    let mut stream = accept(listener)?;
    let accepted = Instant::now();
    stream.set_read_timeout(Some(LOOK))?;
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    let mut buffer = vec![0; 256 * 1024];
    let mut received: u64 = 0;
    let mut start = None;
    loop {
        if accepted.elapsed() >= after && start.is_none() {
            start = Some((Instant::now(), received));
        }
        if let Some((start, before)) = start
            && start.elapsed() >= span
        {
            return Ok((received - before) as f64 / start.elapsed().as_secs_f64());
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                let data = buffer.get(..n).unwrap_or(&[]);
                if !is_stream(received, data) {
                    return Err(ErrorKind::InvalidData.into());
                }
                received += n as u64;
            }
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends the stream until it is stopped.
#[derive(Debug)]
pub(crate) struct Sender {
    thread: JoinHandle<io::Result<()>>,
    stop: Arc<AtomicBool>,
}

impl Sender {
    /// Connects to the receiver at `to`.
    pub(crate) fn start(
        linux: &Linux,
        to: Ipv4Addr,
        port: u16,
        congestion: CongestionControl,
    ) -> Self {
        let to = SocketAddr::from((to, port));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let stop = Arc::clone(&stop);
            // Threads are born into the namespace of the thread that starts them.
            linux.run(move || thread::spawn(move || send(connect(to, congestion)?, &stop)))
        };
        Self { thread, stop }
    }

    /// Ends it by a reset.
    pub(crate) fn stop(self) -> Result<(), String> {
        self.stop.store(true, Ordering::Relaxed);
        let outcome = self.thread.join().map_err(|_| "the sender has panicked")?;
        outcome.map_err(|error| format!("Linux can't send: {error}"))
    }
}

/// Connects with a congestion control chosen before, as one that paces leaves its traces.
fn connect(to: SocketAddr, congestion: CongestionControl) -> io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let name = match congestion {
        CongestionControl::Cubic => "cubic",
        _ => "reno",
    };
    sockopt::set_tcp_congestion(&socket, name)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(CONNECT))?;
    rustix::net::connect(&socket, &to)?;
    Ok(TcpStream::from(socket))
}

fn send(mut to: TcpStream, stop: &AtomicBool) -> io::Result<()> {
    to.set_write_timeout(Some(LOOK))?;
    sockopt::set_socket_linger(&to, Some(Duration::ZERO))?;
    let mut sent: u64 = 0;
    while !stop.load(Ordering::Relaxed) {
        match to.write(stream(sent)) {
            Ok(n) => sent += n as u64,
            Err(error) if is_timeout(&error) => {}
            // The receiver has had enough.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
