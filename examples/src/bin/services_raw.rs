//! The classic small services on the raw (callback) API, all in the tcpip thread: no task, no
//! stack, no buffer of their own for any connection.
use std::collections::HashMap;
use std::process::ExitCode;

use clap::Parser;
use core::net::SocketAddr;
use gannet_core::tcp::{Data, More, Shutdown};
use gannet_core::udp::Datagram;
use gannet_core::{
    Error, Handler, Owner, Pbuf, Refused, Stack, Tcp, TcpListener, TcpPcb, Udp, UdpPcb,
};
use gannet_examples::board::{Board, TX};
use gannet_examples::classic::{CHARACTERS, Command, command, daytime, port};
use gannet_examples::options::Network;
use gannet_examples::{Program, pattern, run};

gannet_port_freertos::host!();

/// The classic small services on a simulated FreeRTOS board, on the raw API in the tcpip thread.
///
/// TCP: 7 echo, 9 discard, 13 daytime, 19 chargen. UDP: 7 echo, 9999 control: a datagram "ping" is
/// answered with "pong"; "connect IP PORT" opens a connection and echoes until its end, "send IP
/// PORT N" opens one, sends N bytes and closes it.
///
/// Unless --forward says otherwise, they are at 127.0.0.1: 7007, 7009, 7013, 7019, UDP 7007 and
/// 9999.
#[derive(Parser)]
#[command(name = "services_raw")]
struct Options {
    #[command(flatten)]
    network: Network,
}

const FORWARDS: &[&str] = &[
    "7007:7",
    "7009:9",
    "7013:13",
    "7019:19",
    "7007:7/udp",
    "9999:9999/udp",
];
const BACKLOG: u16 = 64;
/// Bytes of an answer to a command.
const LARGEST_ANSWER: usize = 1_024;

fn main() -> ExitCode {
    let options = Options::parse();
    let program = Program {
        forwards: FORWARDS,
        raw: Some(|stack, owner| Box::new(Services::start(stack, owner))),
        main: |board: &Board| {
            board.serve_until_stopped();
            Ok(())
        },
    };
    run(options.network, program)
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Echo,
    Discard,
    Daytime,
    Characters,
    /// Sends the pattern from `offset` on, up to `len`.
    Send {
        offset: u64,
        len: u64,
    },
}

struct Services {
    owner: Owner,
    listeners: HashMap<TcpListener, Service>,
    connections: HashMap<TcpPcb, Service>,
    echo: UdpPcb,
}

impl Services {
    fn start(stack: &mut Stack, owner: Owner) -> Self {
        let mut tcp = stack.tcp_now();
        let mut listeners = HashMap::new();
        for (port, service) in [
            (port::ECHO, Service::Echo),
            (port::DISCARD, Service::Discard),
            (port::DAYTIME, Service::Daytime),
            (port::CHARGEN, Service::Characters),
        ] {
            let listener = listen(&mut tcp, owner, port).expect("a new stack has free ports");
            listeners.insert(listener, service);
        }
        let mut udp = stack.udp_now();
        let echo = bind(&mut udp, owner, port::ECHO).expect("a new stack has free ports");
        bind(&mut udp, owner, port::CONTROL).expect("a new stack has free ports");
        Self {
            owner,
            listeners,
            connections: HashMap::new(),
            echo,
        }
    }

    /// Opens a connection for `service`. What goes wrong later is told to [`Handler::err`].
    fn connect(
        &mut self,
        tcp: &mut Tcp<'_>,
        to: SocketAddr,
        service: Service,
    ) -> Result<(), Error> {
        let pcb = tcp.new(self.owner)?;
        if let Err(error) = tcp.connect(pcb, to) {
            tcp.abort(pcb)?;
            return Err(error);
        }
        self.connections.insert(pcb, service);
        Ok(())
    }

    /// The connection is open, or has room again: writes what there is to write.
    fn write(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) -> Result<(), Error> {
        match self.connections.get_mut(&pcb) {
            Some(Service::Characters) => while write_static(tcp, pcb, &CHARACTERS)? {},
            Some(Service::Send { offset, len }) => {
                while *offset < *len {
                    let piece = pattern::at(*offset, *len - *offset);
                    if !write_static(tcp, pcb, piece)? {
                        return Ok(());
                    }
                    *offset += piece.len() as u64;
                }
                tcp.shutdown(pcb, Shutdown::Write)?;
                // Nothing is left to send: what arrives until the peer closes is not wanted.
                self.connections.insert(pcb, Service::Discard);
            }
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, service: Service) -> Result<(), Error> {
        self.connections.insert(pcb, service);
        if service == Service::Daytime {
            tcp.write(pcb, Data::Copy(daytime().as_bytes()), More::No)
                .map_err(|refused| refused.error)?;
            tcp.close(pcb)?;
        }
        self.write(tcp, pcb)
    }

    fn obey(&mut self, stack: &mut Stack, datagram: &[u8]) -> Option<String> {
        let tcp = &mut stack.tcp_now();
        let outcome = match command(datagram) {
            Ok(Command::Ping) => return Some("pong".into()),
            Ok(Command::Stats(_)) => {
                let mut stats = format!("{:?} {:?}", stack.tcp_census(), stack.tcp_stats());
                stats.truncate(LARGEST_ANSWER);
                return Some(stats);
            }
            Ok(Command::Connect(to)) => self.connect(tcp, to, Service::Echo),
            Ok(Command::Send(to, len)) => self.connect(tcp, to, Service::Send { offset: 0, len }),
            Err(_) => return Some("commands: ping, stats, connect IP PORT, send IP PORT N".into()),
        };
        outcome.err().map(|error| error.to_string())
    }
}

impl Handler for Services {
    fn accept(
        &mut self,
        tcp: &mut Tcp<'_>,
        listener: TcpListener,
        pcb: TcpPcb,
    ) -> Result<(), Error> {
        let service = self
            .listeners
            .get(&listener)
            .copied()
            .ok_or(Error::Argument)?;
        self.open(tcp, pcb, service).inspect_err(|_| {
            self.connections.remove(&pcb);
        })
    }

    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        // Fails if the connection does, which `err` tells.
        let _ = self.write(tcp, pcb);
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let service = self.connections.get(&pcb).copied();
        match (service, data) {
            // The window opens when the echo is acknowledged: a client that does not read it
            // cannot send more.
            (Some(Service::Echo), Some(data)) => match tcp.write(pcb, Data::Pbuf(data), More::No) {
                Ok(()) => {}
                Err(refused) => {
                    if let Data::Pbuf(data) = refused.data
                        && refused.error == Error::NoMemory
                    {
                        return Err(Refused(data));
                    }
                }
            },
            (_, Some(data)) => drop(tcp.recved(pcb, data.tot_len())),
            // Whatever has been written still leaves. Stale is as good as closed.
            (_, None) => {
                self.connections.remove(&pcb);
                let _ = tcp.close(pcb);
            }
        }
        Ok(())
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, len: usize) {
        if self.connections.get(&pcb) == Some(&Service::Echo) {
            let _ = tcp.recved(pcb, len);
        }
        // Fails if the connection does, which `err` tells.
        let _ = self.write(tcp, pcb);
    }

    fn err(&mut self, _: &mut Tcp<'_>, pcb: TcpPcb, error: Error) {
        if let Some(service) = self.connections.remove(&pcb) {
            log::debug!("{service:?}: {error}");
        }
    }

    fn udp_recv(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: Datagram) {
        let answer = if pcb == self.echo {
            Some(datagram.data)
        } else {
            let mut bytes = [0; 256];
            let len = datagram.data.copy_to(0, &mut bytes);
            let answer = self.obey(udp.stack(), bytes.get(..len).unwrap_or(&[]));
            answer.and_then(|answer| {
                let mut data = Pbuf::alloc(&TX, 0, answer.len()).ok()?;
                data.copy_from(answer.as_bytes());
                Some(data)
            })
        };
        if let Some(answer) = answer
            && let Err(refused) = udp.send_to(pcb, answer, datagram.from)
        {
            log::debug!("{}: {}", datagram.from, refused.error);
        }
    }
}

/// Queues constant data; `false` if there is no room now.
fn write_static(tcp: &mut Tcp<'_>, pcb: TcpPcb, data: &'static [u8]) -> Result<bool, Error> {
    match tcp.write(pcb, Data::Static(data), More::No) {
        Ok(()) => Ok(true),
        Err(refused) if refused.error == Error::NoMemory => Ok(false),
        Err(refused) => Err(refused.error),
    }
}

fn listen(tcp: &mut Tcp<'_>, owner: Owner, port: u16) -> Result<TcpListener, Error> {
    let pcb = tcp.new(owner)?;
    tcp.bind(pcb, ([0, 0, 0, 0], port).into())?;
    tcp.listen(pcb, BACKLOG)
}

fn bind(udp: &mut Udp<'_>, owner: Owner, port: u16) -> Result<UdpPcb, Error> {
    let pcb = udp.new(owner)?;
    udp.bind(pcb, ([0, 0, 0, 0], port).into())?;
    Ok(pcb)
}
