//! Services on blocking sockets: TCP and UDP echo (RFC 862), HTTP. A fixed set of tasks serves, each
//! one connection at a time; further ones wait in the listener.
use alloc::boxed::Box;
use core::time::Duration;

use gannet_port_freertos::{Priority, spawn};
use gannet_sockets::{Error, TcpListener, TcpStream, UdpSocket};

use crate::board::Board;
use crate::{control, http};

const ECHO: u16 = 7;
const HTTP: u16 = 80;
/// Tasks of each TCP service.
const WORKERS: usize = 4;
/// Words of stack of a task that moves buffers.
const STACK_WORDS: usize = 512;
/// Words of stack of one that also holds and parses a request.
const HTTP_STACK_WORDS: usize = 1_280;
/// How long a client may be silent; a task is held meanwhile.
const IDLE: Duration = Duration::from_secs(30);

/// Starts the tasks.
pub(crate) fn start(board: &Board) {
    serve("echo", ECHO, STACK_WORDS, echo);
    let counters = board.device.clone();
    serve("http", HTTP, HTTP_STACK_WORDS, move |stream| {
        http::serve(stream, &counters)
    });
    spawn("udp echo", Priority::APPLICATION, STACK_WORDS, || {
        let socket = UdpSocket::bind(([0, 0, 0, 0], ECHO).into()).expect("a free port");
        loop {
            // What can't be echoed is lost, as datagrams may be.
            let _ = echo_datagram(&socket);
        }
    })
    .expect("memory for the task");
}

/// Serves the connections of `port` with [`WORKERS`] tasks, in each the result of `service`.
fn serve(
    name: &'static str,
    port: u16,
    stack_words: usize,
    service: impl Fn(&TcpStream) -> Result<(), Error> + Send + Sync + 'static,
) {
    let service: &'static _ = Box::leak(Box::new(service));
    // Binding waits for the tcpip task, so this has a task too.
    let start = move || {
        let listener = TcpListener::bind(([0, 0, 0, 0], port).into()).expect("a free port");
        let listener: &'static TcpListener = Box::leak(Box::new(listener));
        for _ in 0..WORKERS {
            let work = move || {
                loop {
                    // How a connection ended is its client's business.
                    let _ = listener.accept().and_then(|(stream, _)| {
                        stream.set_read_timeout(Some(IDLE))?;
                        service(&stream)
                    });
                }
            };
            let task = spawn(name, Priority::APPLICATION, stack_words, work);
            control::watch(name, task.expect("memory for the task"));
        }
    };
    spawn(name, Priority::APPLICATION, STACK_WORDS, start).expect("memory for the task");
}

/// Sends back what arrives, in the buffers it arrived in.
fn echo(stream: &TcpStream) -> Result<(), Error> {
    while let Some(data) = stream.read_pbuf(usize::MAX)? {
        stream.write_pbuf(data).map_err(|refused| refused.error)?;
    }
    Ok(())
}

fn echo_datagram(socket: &UdpSocket) -> Result<(), Error> {
    let (data, from) = socket.recv_pbuf_from()?;
    socket
        .send_pbuf_to(data, from)
        .map_err(|refused| refused.error)
}
