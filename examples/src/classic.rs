//! The classic small services' texts and the control protocol of `services` and `services_raw`.
use core::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

/// Ports, RFC numbers: echo (RFC 862), discard (RFC 863), daytime (RFC 867), character generator
/// (RFC 864), HTTP; and the control port of these examples.
pub mod port {
    /// Sends back what it receives, TCP and UDP.
    pub const ECHO: u16 = 7;
    /// Throws away what it receives.
    pub const DISCARD: u16 = 9;
    /// Sends the date and time, and closes.
    pub const DAYTIME: u16 = 13;
    /// Sends characters until the client closes.
    pub const CHARGEN: u16 = 19;
    /// As the example `httpd`.
    pub const HTTP: u16 = 80;
    /// [`Command`](super::Command)s, UDP.
    pub const CONTROL: u16 = 9999;
}

/// Characters in a line of the character generator.
const LINE: usize = 72;
/// Printable characters, space to tilde.
const PRINTABLE: usize = 95;

/// All lines of the character generator: each begins one character later (RFC 864).
pub static CHARACTERS: [u8; (LINE + 2) * PRINTABLE] = characters();

const fn characters() -> [u8; (LINE + 2) * PRINTABLE] {
    let mut text = [0; (LINE + 2) * PRINTABLE];
    let mut at = 0;
    while at < text.len() {
        let (line, column) = (at / (LINE + 2), at % (LINE + 2));
        text[at] = match column {
            LINE => b'\r',
            column if column > LINE => b'\n',
            column => b' ' + ((line + column) % PRINTABLE) as u8,
        };
        at += 1;
    }
    text
}

/// The line of the daytime service.
pub fn daytime() -> String {
    format!("{}\r\n", httpdate::fmt_http_date(SystemTime::now()))
}

/// What a datagram to the control port asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `ping`: to be answered with `pong`.
    Ping,
    /// `stats [SECTION]`: to be answered with the counters as JSON, or a section of them.
    Stats(Option<&'a str>),
    /// `connect IP PORT`: connect, and echo until the end of the stream.
    Connect(SocketAddr),
    /// `send IP PORT N`: connect, send N bytes of the pattern, close.
    Send(SocketAddr, u64),
}

/// A datagram that is no [`Command`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCommand;

impl<'a> Command<'a> {
    fn parse(text: &'a str) -> Result<Self, NoCommand> {
        let mut words = text.split_ascii_whitespace();
        let name = words.next();
        if name == Some("stats") {
            return Ok(Self::Stats(words.next()));
        }
        let mut addr = || -> Option<SocketAddr> {
            let ip: Ipv4Addr = words.next()?.parse().ok()?;
            Some((ip, words.next()?.parse().ok()?).into())
        };
        let command = match name {
            Some("ping") => Self::Ping,
            Some("connect") => Self::Connect(addr().ok_or(NoCommand)?),
            Some("send") => {
                let to = addr().ok_or(NoCommand)?;
                let len = words.next().and_then(|word| word.parse().ok());
                Self::Send(to, len.ok_or(NoCommand)?)
            }
            _ => return Err(NoCommand),
        };
        if words.next().is_some() {
            Err(NoCommand)
        } else {
            Ok(command)
        }
    }
}

/// The command in a datagram.
///
/// # Errors
/// [`NoCommand`].
pub fn command(datagram: &[u8]) -> Result<Command<'_>, NoCommand> {
    Command::parse(core::str::from_utf8(datagram).map_err(|_| NoCommand)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        let peer = SocketAddr::from(([10, 0, 0, 1], 80));
        assert_eq!(command(b"ping\n"), Ok(Command::Ping));
        assert_eq!(command(b"stats tcp"), Ok(Command::Stats(Some("tcp"))));
        assert_eq!(command(b"connect 10.0.0.1 80"), Ok(Command::Connect(peer)));
        assert_eq!(
            command(b" send 10.0.0.1 80 5000\r\n"),
            Ok(Command::Send(peer, 5000))
        );
        for wrong in [
            "",
            "pong",
            "ping 1",
            "connect",
            "connect 10.0.0 80",
            "send 10.0.0.1 80",
        ] {
            assert_eq!(command(wrong.as_bytes()), Err(NoCommand), "{wrong}");
        }
        assert_eq!(command(&[0xff, 0xfe]), Err(NoCommand));
    }

    #[test]
    fn characters_rotate() {
        let line = |n: usize| &CHARACTERS[n * 74..][..74];
        assert!(line(0).starts_with(b" !\"#$") && line(0).ends_with(b"fg\r\n"));
        assert!(line(1).starts_with(b"!\"#$%") && line(1).ends_with(b"gh\r\n"));
        assert!(line(94).starts_with(b"~ !\"#"));
    }
}
