//! The host's side of a program: it starts the board as a child process, is the link's other end,
//! and ends both together.
use core::time::Duration;
use std::env;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use crate::gateway::{Forwards, Gateway};
use crate::options::{Forward, Link, Network, Protocol};
use crate::tap;

/// Set for the child process that is the board: the parent's process number.
pub(crate) const BOARD_VARIABLE: &str = "GANNET_BOARD_OF";

/// How long the board may take to end when asked to.
const PATIENCE: Duration = Duration::from_secs(5);
/// Asked for on both ends of a socket pair; Linux gives what it allows.
const SOCKET_BUFFER: usize = 1 << 20;

/// What the program is to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The user is told where it is once it serves.
    Server,
    Client,
}

/// Starts the board and serves it until it ends, or until this process is asked to end.
///
/// # Errors
/// A sentence for the user.
pub(crate) fn run(network: &Network, role: Role) -> Result<ExitCode, String> {
    let subnet = network.subnet()?;
    // First of all: later, sockets would be in another namespace.
    let forwards = match network.link() {
        Link::Tap(_) if !network.forwards.is_empty() => {
            return Err(
                "with --tap NAME nothing is forwarded; the board has its own address".into(),
            );
        }
        Link::Tap(_) => Forwards::default(),
        Link::Gateway | Link::OwnTap => bind(&network.forwards)?,
    };
    let caught = |signals| catch(signals).map_err(|e| format!("signals can't be caught: {e}"));
    let end = caught(&[SIGINT, SIGTERM, SIGHUP])?;
    let ready = caught(&[SIGUSR1])?;
    let announce = announcement(network, &forwards);
    let (board_end, own_end) = match network.link() {
        Link::Gateway => pair().map(|(board, host)| (board, Some(host)))?,
        Link::OwnTap => through(
            network,
            tap::in_own_namespace(network.gateway, subnet.prefix())?,
        )?,
        Link::Tap(name) => through(network, tap::attach(name)?.0)?,
    };
    let mut board = Board::start(board_end)?;
    if role == Role::Server {
        wait(&[board.pidfd.as_fd(), end.as_fd(), ready.as_fd()], None)
            .map_err(|error| format!("waiting failed: {error}"))?;
        // If it is not ready, it has ended, and what follows notices.
        if matches!(wait(&[ready.as_fd()], Some(Duration::ZERO)), Ok(true)) {
            for line in announce {
                // Nobody has to read it.
                let _ = writeln!(io::stdout(), "{line}");
            }
        }
    }
    match network.link() {
        Link::Gateway => {
            let link = own_end.ok_or("no link")?;
            let gateway_subnet = gannet_core::Subnet::new(network.gateway, subnet.prefix())
                .ok_or("no network of the gateway's")?;
            let mut gateway = Gateway::new(
                link,
                gateway_subnet,
                network.addr,
                forwards,
                network.faults(),
            )
            .map_err(|error| format!("the gateway can't start: {error}"))?;
            gateway
                .serve(&[board.pidfd.as_fd(), end.as_fd()])
                .map_err(|error| format!("the gateway failed: {error}"))?;
        }
        Link::OwnTap | Link::Tap(_) => {
            tap::forward(forwards, network.addr);
            wait(&[board.pidfd.as_fd(), end.as_fd()], None)
                .map_err(|error| format!("waiting failed: {error}"))?;
        }
    }
    board.end()
}

/// The board's process, which does not outlive this value.
struct Board {
    child: Child,
    pidfd: OwnedFd,
}

impl Board {
    fn start(link: OwnedFd) -> Result<Self, String> {
        let started = || -> io::Result<Self> {
            let child = Command::new(env::current_exe()?)
                .args(env::args_os().skip(1))
                .env(BOARD_VARIABLE, std::process::id().to_string())
                .stdin(Stdio::from(link))
                // Ctrl-C is for this process, which ends the board in order.
                .process_group(0)
                .spawn()?;
            let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
            Ok(Self { child, pidfd })
        };
        started().map_err(|error| format!("the board can't be started: {error}"))
    }

    /// Ends it, if it has not ended by itself; what it ended with.
    fn end(&mut self) -> Result<ExitCode, String> {
        // Fails only if it has ended.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let ended = wait(&[self.pidfd.as_fd()], Some(PATIENCE));
        if !matches!(ended, Ok(true)) {
            let _ = self.child.kill();
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        match status.code() {
            Some(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
            None => Err(format!("the board has ended: {status}")),
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until one of `fds` can be read from: `true`; `false` after `timeout`.
fn wait(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    let mut fds: Vec<_> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    loop {
        match poll(&mut fds, timeout.as_ref()) {
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(ready) => return Ok(ready > 0),
        }
    }
}

/// Can be read from once one of `signals` was sent to this process.
fn catch(signals: &[i32]) -> io::Result<UnixStream> {
    let (reader, writer) = UnixStream::pair()?;
    for signal in signals {
        signal_hook::low_level::pipe::register(*signal, writer.try_clone()?)?;
    }
    Ok(reader)
}

/// Told by the board: it serves now.
pub(crate) fn tell_ready() {
    if let Some(parent) = rustix::process::getppid() {
        // It ends with the parent anyway.
        let _ = kill_process(parent, Signal::USR1);
    }
}

/// The board's end of the link through the TAP device `tap`: that itself, or with faults a socket
/// pair with the path in between.
fn through(network: &Network, tap: OwnedFd) -> Result<(OwnedFd, Option<OwnedFd>), String> {
    if network.faults().is_none() {
        return Ok((tap, None));
    }
    let (board, host) = pair()?;
    tap::relay(tap, host, network.faults());
    Ok((board, None))
}

/// A socket pair that carries a frame per message.
fn pair() -> Result<(OwnedFd, OwnedFd), String> {
    let made = || -> rustix::io::Result<(OwnedFd, OwnedFd)> {
        let (a, b) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        for end in [&a, &b] {
            sockopt::set_socket_send_buffer_size(end, SOCKET_BUFFER)?;
        }
        Ok((a, b))
    };
    made().map_err(|error| format!("no socket pair for the link: {error}"))
}

fn bind(wanted: &[Forward]) -> Result<Forwards, String> {
    let mut forwards = Forwards::default();
    for forward in wanted {
        let host = (Ipv4Addr::LOCALHOST, forward.host);
        match forward.protocol {
            Protocol::Tcp => TcpListener::bind(host)
                .map(|listener| forwards.tcp.push((listener, forward.board))),
            Protocol::Udp => {
                UdpSocket::bind(host).map(|socket| forwards.udp.push((socket, forward.board)))
            }
        }
        .map_err(|error| {
            format!(
                "port {} of 127.0.0.1 can't be forwarded ({error}); --forward HOST:{} takes another",
                forward.host, forward.board,
            )
        })?;
    }
    Ok(forwards)
}

/// What the user is told about where the board is.
fn announcement(network: &Network, forwards: &Forwards) -> Vec<String> {
    let mut lines = Vec::new();
    if let Link::Tap(name) = network.link() {
        lines.push(format!("the board is {} on {name}", network.addr));
    }
    for (listener, board) in &forwards.tcp {
        if let Ok(addr) = listener.local_addr() {
            let scheme = if *board == 80 { "http" } else { "tcp" };
            let slash = if *board == 80 { "/" } else { "" };
            lines.push(format!(
                "{scheme}://{addr}{slash} is the board's port {board}"
            ));
        }
    }
    for (socket, board) in &forwards.udp {
        if let Ok(addr) = socket.local_addr() {
            lines.push(format!("udp://{addr} is the board's port {board}"));
        }
    }
    lines
}
