//! The classic small services on blocking sockets: a fixed set of tasks serves all connections, one
//! at a time each.
//!
//! TCP: 7 echo, 9 discard, 13 daytime, 19 chargen, 80 HTTP. UDP: 7 echo, 9999 control.
use core::net::SocketAddr;
use core::time::Duration;

use gannet_port_freertos::{Priority, spawn};
use gannet_sockets::{Error, Keepalive, Shutdown, TcpListener, TcpStream, UdpSocket};

use crate::board::{Board, STACK_WORDS};
use crate::classic::{CHARACTERS, Command, command, daytime, port};
use crate::tasks::Workers;
use crate::{http, pattern, stats};

/// Tasks, hence connections served at a time.
const TASKS: usize = 96;

/// Where the services are if the command line does not say.
pub const FORWARDS: &[&str] = &[
    "8080:80",
    "7007:7",
    "7009:9",
    "7013:13",
    "7019:19",
    "7007:7/udp",
    "9999:9999/udp",
];

/// What to do with a connection.
type Kind = fn(TcpStream) -> Job;

/// What a worker has to do.
enum Job {
    Echo(TcpStream),
    Discard(TcpStream),
    Daytime(TcpStream),
    Characters(TcpStream),
    Http(TcpStream),
    /// Connect, and echo.
    Connect(SocketAddr),
    /// Connect, and send so many bytes.
    Send(SocketAddr, u64),
}

/// The main task of a program that serves them.
///
/// # Errors
/// None, in the form that [`Program`](crate::Program) wants.
///
/// # Panics
/// Without memory for the tasks.
pub fn serve(board: &Board) -> Result<(), String> {
    let workers = Workers::start(TASKS, work).expect("memory for the tasks");
    let services: [(u16, Kind); 5] = [
        (port::ECHO, Job::Echo),
        (port::DISCARD, Job::Discard),
        (port::DAYTIME, Job::Daytime),
        (port::CHARGEN, Job::Characters),
        (port::HTTP, Job::Http),
    ];
    for (port, job) in services {
        let listener = TcpListener::bind(([0, 0, 0, 0], port).into()).expect("a free port");
        start("accept", move || {
            for stream in listener.incoming() {
                match stream {
                    // Too many wait already: dropping it closes it.
                    Ok(stream) => drop(workers.push(job(stream))),
                    Err(error) => log::warn!("port {port}: {error}"),
                }
            }
        });
    }
    let echo = UdpSocket::bind(([0, 0, 0, 0], port::ECHO).into()).expect("a free port");
    start("udp echo", move || echo_datagrams(&echo));
    let control = UdpSocket::bind(([0, 0, 0, 0], port::CONTROL).into()).expect("a free port");
    start("control", move || obey(&control, workers));
    board.serve_until_stopped();
    Ok(())
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) {
    spawn(name, Priority::APPLICATION, STACK_WORDS, run).expect("memory for the task");
}

fn work(job: Job) {
    let outcome = match job {
        Job::Echo(stream) => echo(&stream),
        Job::Discard(stream) => discard(&stream),
        Job::Daytime(stream) => stream.write_all(daytime().as_bytes()),
        Job::Characters(stream) => characters(&stream),
        Job::Http(stream) => http::serve(&stream),
        Job::Connect(to) => TcpStream::connect(to).and_then(|stream| echo(&stream)),
        Job::Send(to, len) => TcpStream::connect(to).and_then(|stream| send(&stream, len)),
    };
    if let Err(error) = outcome {
        log::debug!("a connection ended: {error}");
    }
}

/// Peers that are silent for longer are asked whether they are still there: without it a connection
/// whose end was lost is held for ever.
const ALIVE: Keepalive = Keepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(10),
    count: 6,
};

/// Sends back what arrives, in the buffers it arrived in.
fn echo(stream: &TcpStream) -> Result<(), Error> {
    stream.set_keepalive(Some(ALIVE))?;
    while let Some(data) = stream.read_pbuf(usize::MAX)? {
        stream.write_pbuf(data).map_err(|refused| refused.error)?;
    }
    Ok(())
}

fn discard(stream: &TcpStream) -> Result<(), Error> {
    stream.set_keepalive(Some(ALIVE))?;
    while stream.read_pbuf(usize::MAX)?.is_some() {}
    Ok(())
}

/// Ends when the client has had enough and resets the connection.
fn characters(stream: &TcpStream) -> Result<(), Error> {
    loop {
        stream.write_static(&CHARACTERS)?;
    }
}

fn send(stream: &TcpStream, len: u64) -> Result<(), Error> {
    let mut offset = 0;
    while offset < len {
        let piece = pattern::at(offset, len - offset);
        stream.write_static(piece)?;
        offset += piece.len() as u64;
    }
    stream.shutdown(Shutdown::Write)?;
    // Until the peer closes too: what it has not read it would lose if it sent something now.
    discard(stream)
}

fn echo_datagrams(socket: &UdpSocket) {
    loop {
        let echoed = socket.recv_pbuf_from().and_then(|(data, from)| {
            socket
                .send_pbuf_to(data, from)
                .map_err(|refused| refused.error)
        });
        if let Err(error) = echoed {
            log::debug!("a datagram was not echoed: {error}");
        }
    }
}

fn obey(socket: &UdpSocket, workers: &Workers<Job>) {
    let mut buffer = [0; 256];
    loop {
        let Ok((len, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let answer = match command(buffer.get(..len).unwrap_or(&[])) {
            Ok(Command::Ping) => Some("pong".into()),
            Ok(Command::Stats(section)) => Some(stats::answer(section)),
            Ok(Command::Connect(to)) => assign(workers, Job::Connect(to)),
            Ok(Command::Send(to, len)) => assign(workers, Job::Send(to, len)),
            Err(_) => {
                Some("commands: ping, stats [SECTION], connect IP PORT, send IP PORT N".into())
            }
        };
        if let Some(answer) = answer
            && let Err(error) = socket.send_to(answer.as_bytes(), from)
        {
            log::debug!("{from}: {error}");
        }
    }
}

/// Gives `job` to a task; an answer only if none takes it.
fn assign(workers: &Workers<Job>, job: Job) -> Option<String> {
    workers.push(job).is_err().then(|| "busy".into())
}
