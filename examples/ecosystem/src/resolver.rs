//! A DNS stub resolver with the messages of `domain`: IPv4 addresses of names, from the name servers
//! that DHCP or the user has named. It asks over UDP, again if nobody answers, and over TCP if the
//! answer is too long. It keeps nothing: each call asks.
//!
//! What it believes (RFC 5452 §9.1): an answer from the server and port that was asked, at the port
//! it was asked from, with the number and the question of the query. Port and number are new and
//! random for each attempt, and there is one attempt at a time.
use core::cell::Cell;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use critical_section::Mutex;
use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::name::Name;
use domain::base::{Message, MessageBuilder};
use domain::dep::octseq::array::Array;
use domain::rdata::A;
use embassy_time::{Duration, Instant, Timer, with_deadline};
use embedded_io_async::{Read, Write};
use gannet_sockets::Net;
use gannet_sockets::asynch::{TcpStream, UdpSocket};

/// RFC 1035 §4.2.
const PORT: u16 = 53;
/// RFC 1035 §4.2.1: what servers send over UDP to who does not offer more.
const LARGEST_DATAGRAM: usize = 512;
/// Enough for a header and a question.
const LARGEST_QUERY: usize = 12 + 255 + 4;
/// Answers over TCP; of a longer one the rest is left.
const LARGEST_STREAM: usize = 2_048;
/// How long each attempt waits; all servers are asked in each round.
const ROUNDS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// At most two, as DHCP clients keep them.
pub type Servers = [Option<Ipv4Addr>; 2];

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// This can't be a name.
    NoName,
    /// There is no such name.
    NotFound,
    /// There is, but without an IPv4 address.
    NoAddress,
    /// No server is known.
    NoServer,
    /// A server can't or will not say.
    Failed(Rcode),
    /// No server has answered.
    TimedOut,
    /// Only IPv4 addresses of names are looked for.
    NotSupported,
}

/// Finds the addresses of names over a net.
#[derive(Debug)]
pub struct Resolver {
    net: &'static Net,
    servers: Mutex<Cell<Servers>>,
    random: fn() -> u16,
}

/// A name that is asked for.
type Asked = Name<Array<255>>;
/// A message to a server.
type Query = Message<Array<LARGEST_QUERY>>;

/// What came of an attempt.
type Attempt = Result<Ipv4Addr, Error>;

impl Resolver {
    /// A resolver that knows no server yet. `random` must be what nobody can guess.
    pub const fn new(net: &'static Net, random: fn() -> u16) -> Self {
        Self {
            net,
            servers: Mutex::new(Cell::new([None; 2])),
            random,
        }
    }

    /// Asks these from now on.
    pub fn set_servers(&self, servers: Servers) {
        critical_section::with(|cs| self.servers.borrow(cs).set(servers));
    }

    /// The first IPv4 address of `host`; an address is its own name.
    ///
    /// # Errors
    /// [`Error`]. [`Error::TimedOut`] after seven seconds for each server.
    pub async fn resolve(&self, host: &str) -> Result<Ipv4Addr, Error> {
        if let Ok(addr) = host.parse() {
            return Ok(addr);
        }
        let name: Asked = host.parse().map_err(|_| Error::NoName)?;
        let mut outcome = Error::NoServer;
        for wait in ROUNDS {
            let servers = critical_section::with(|cs| self.servers.borrow(cs).get());
            for server in servers.into_iter().flatten() {
                match self.ask(server, &name, wait).await {
                    // Another server may be better off.
                    Err(error @ (Error::Failed(_) | Error::TimedOut)) => outcome = error,
                    settled => return settled,
                }
            }
            if outcome != Error::TimedOut {
                // They have answered: asking again at once would be no use.
                break;
            }
        }
        Err(outcome)
    }

    /// One attempt with one server.
    async fn ask(&self, server: Ipv4Addr, name: &Asked, wait: Duration) -> Attempt {
        let until = Instant::now() + wait;
        let to = SocketAddr::from((server, PORT));
        let attempt = with_deadline(until, self.ask_datagram(to, name));
        match attempt.await {
            Ok(Some(answer)) => answer,
            Ok(None) => match with_deadline(until, self.ask_stream(to, name)).await {
                Ok(Some(answer)) => answer,
                // RFC 2181 §9: what was cut off is not used.
                _ => Err(Error::TimedOut),
            },
            Err(_) => Err(Error::TimedOut),
        }
    }

    /// `None`: the answer is too long for a datagram.
    async fn ask_datagram(&self, server: SocketAddr, name: &Asked) -> Option<Attempt> {
        loop {
            match self.try_datagram(server, name).await {
                Ok(answer) => return answer,
                // No route yet, no buffer, or the server's host says that nobody is there. The
                // deadline ends this; what it waits for may come before.
                Err(_) => Timer::after(Duration::from_millis(200)).await,
            }
        }
    }

    async fn try_datagram(
        &self,
        server: SocketAddr,
        name: &Asked,
    ) -> Result<Option<Attempt>, gannet_sockets::Error> {
        let Some(query) = self.query(name) else {
            return Ok(Some(Err(Error::NoName)));
        };
        // Port 0: a random one (RFC 6056). Connected: from others nothing is received.
        let socket = UdpSocket::bind_on(self.net, (Ipv4Addr::UNSPECIFIED, 0).into())?;
        socket.connect(server)?;
        socket.send_to(query.as_slice(), None).await?;
        let mut buf = [0; LARGEST_DATAGRAM];
        loop {
            let len = socket.recv_from(&mut buf).await?.len;
            let answer = buf.get(..len).and_then(|answer| checked(answer, &query));
            match answer {
                Some(answer) if answer.header().tc() => return Ok(None),
                Some(answer) => return Ok(Some(address(answer))),
                None => {}
            }
        }
    }

    /// RFC 7766 §8: the length goes before the message.
    async fn ask_stream(&self, server: SocketAddr, name: &Asked) -> Option<Attempt> {
        let query = self.query(name)?;
        let mut stream = TcpStream::connect_on(self.net, server).await.ok()?;
        let len = u16::try_from(query.as_slice().len()).ok()?.to_be_bytes();
        Write::write_all(&mut stream, &len).await.ok()?;
        Write::write_all(&mut stream, query.as_slice()).await.ok()?;
        let mut len = [0; 2];
        Read::read_exact(&mut stream, &mut len).await.ok()?;
        let mut buf = [0; LARGEST_STREAM];
        let len = usize::from(u16::from_be_bytes(len)).min(LARGEST_STREAM);
        let buf = buf.get_mut(..len)?;
        Read::read_exact(&mut stream, buf).await.ok()?;
        checked(buf, &query).map(address)
    }

    /// A query for the IPv4 addresses of `name`, with a number of its own.
    fn query(&self, name: &Asked) -> Option<Query> {
        let mut message = MessageBuilder::from_target(Array::new()).ok()?;
        message.header_mut().set_id((self.random)());
        message.header_mut().set_rd(true);
        let mut message = message.question();
        message.push((name, Rtype::A, Class::IN)).ok()?;
        Some(message.into_message())
    }
}

/// `answer`, if it is one to `query`: its number, its question (RFC 5452 §9.1).
fn checked<'a>(answer: &'a [u8], query: &Query) -> Option<&'a Message<[u8]>> {
    let answer = Message::from_slice(answer).ok()?;
    let header = answer.header();
    let is_answer = answer.is_answer(query) && header.opcode() == Opcode::QUERY;
    is_answer.then_some(answer)
}

/// The address in an answer: of the name that was asked for, or of that it is an alias of.
fn address(answer: &Message<[u8]>) -> Attempt {
    match answer.header().rcode() {
        Rcode::NOERROR => {}
        Rcode::NXDOMAIN => return Err(Error::NotFound),
        other => return Err(Error::Failed(other)),
    }
    let name = answer
        .canonical_name()
        .ok_or(Error::Failed(Rcode::FORMERR))?;
    let records = answer.answer().map_err(|_| Error::Failed(Rcode::FORMERR))?;
    records
        .limit_to_in::<A>()
        .flatten()
        .find(|record| *record.owner() == name)
        .map(|record| record.data().addr())
        .ok_or(Error::NoAddress)
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoName => f.write_str("not a name"),
            Self::NotFound => f.write_str("no such name"),
            Self::NoAddress => f.write_str("the name has no IPv4 address"),
            Self::NoServer => f.write_str("no name server is known"),
            Self::Failed(code) => write!(f, "the name server says {code}"),
            Self::TimedOut => f.write_str("no name server answers"),
            Self::NotSupported => f.write_str("only IPv4 addresses of names are looked for"),
        }
    }
}

impl core::error::Error for Error {}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        use embedded_io_async::ErrorKind;
        match self {
            Self::NoName => ErrorKind::InvalidInput,
            Self::NotFound | Self::NoAddress => ErrorKind::NotFound,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::NotSupported => ErrorKind::Unsupported,
            Self::NoServer | Self::Failed(_) => ErrorKind::Other,
        }
    }
}

/// The same trait twice: `reqwless` wants the one, `edge-http` and its like the other.
macro_rules! dns {
    ($($nal:ident),*) => {$(
        impl $nal::Dns for Resolver {
            type Error = Error;

            async fn get_host_by_name(
                &self,
                host: &str,
                addr_type: $nal::AddrType,
            ) -> Result<IpAddr, Error> {
                if addr_type == $nal::AddrType::IPv6 {
                    return Err(Error::NotSupported);
                }
                self.resolve(host).await.map(IpAddr::V4)
            }

            /// [`Error::NotSupported`].
            async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Error> {
                Err(Error::NotSupported)
            }
        }
    )*};
}

dns!(embedded_nal_async, edge_nal);

#[cfg(test)]
mod tests {
    use super::*;

    gannet_core::pbuf_pool! { static TX: [64; 1] }
    gannet_netconn::net! {
        static NET: { connections: 1, datagrams: 1, waiters: 1, tx_pool: TX }
    }

    const ADDR: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    /// A query, and an answer with an alias and the address of what it stands for.
    fn exchange() -> (Query, Vec<u8>) {
        let resolver = Resolver::new(&NET, || 0x1234);
        let name = "light.test".parse().expect("a name");
        let query = resolver.query(&name).expect("it fits");
        let mut answer = query.as_slice().to_vec();
        answer[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 2]);
        // "lamp" before the "test" of the question.
        let alias = [
            0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 7, 4, b'l', b'a', b'm', b'p', 0xc0, 18,
        ];
        let target = u8::try_from(answer.len() + 12).expect("short");
        answer.extend(alias);
        answer.extend([0xc0, target, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(ADDR.octets());
        (query, answer)
    }

    #[test]
    fn aliases_are_followed() {
        let (query, answer) = exchange();
        let answer = checked(&answer, &query).expect("an answer");
        assert_eq!(address(answer), Ok(ADDR));
    }

    #[test]
    fn nothing_in_an_answer_panics() {
        let (query, answer) = exchange();
        let mut believed = 0;
        for at in 0..answer.len() {
            for value in 0..=255 {
                let mut answer = answer.clone();
                answer[at] = value;
                believed += usize::from(checked(&answer, &query).is_some_and(|answer| {
                    // Whatever it says.
                    address(answer).is_ok()
                }));
            }
            let cut = answer.get(..at).unwrap_or(&[]);
            assert_eq!(checked(cut, &query).map(address).and_then(Result::ok), None);
        }
        assert!(believed > 0);
    }
}
