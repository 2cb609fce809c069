//! The command line that all programs with a network share: link, addresses, forwarded ports,
//! capture, and the faults of the path.
use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;
use core::time::Duration;
use std::path::PathBuf;

use clap::Args;
use gannet_core::Subnet;

use crate::path::Faults;

/// How the board reaches the world.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct Network {
    /// Reach the board over a TAP device instead of the built-in gateway.
    ///
    /// Without NAME: a network namespace of its own, in which the kernel has the gateway's address,
    /// with the ports forwarded all the same. With NAME: the TAP device of that name in the
    /// present namespace, which you configure, and no forwarding.
    #[arg(long, value_name = "NAME", num_args = 0..=1)]
    pub tap: Option<Option<String>>,

    /// The board's address.
    #[arg(long, default_value = "10.0.0.2")]
    pub addr: Ipv4Addr,

    /// The mask of the board's network.
    #[arg(long, default_value = "255.255.255.0")]
    pub mask: Ipv4Addr,

    /// The other end of the link, and the way to all other networks.
    ///
    /// What the board connects to there, ends at the same port of this machine's 127.0.0.1 (not
    /// with --tap).
    #[arg(long, default_value = "10.0.0.1")]
    pub gateway: Ipv4Addr,

    /// Set by programs, not by the command line.
    #[arg(skip)]
    pub addressing: Addressing,

    /// Forward a port of 127.0.0.1 to one of the board's; can be given several times.
    ///
    /// HOST 0 picks a free one. Ends in /udp for datagrams: 9999:9999/udp.
    #[arg(long = "forward", value_name = "HOST:BOARD[/udp]")]
    pub forwards: Vec<Forward>,

    /// Capture the board's frames into a pcap file.
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,

    /// Faults and secrets are drawn from this number instead of the system's random ones, so that
    /// a run can be repeated. Never where an attacker could know it.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// Percent of the frames that the path loses, in each direction.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    #[arg(help_heading = "Faults of the path")]
    pub loss: f64,

    /// Percent of the frames that arrive twice.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    #[arg(help_heading = "Faults of the path")]
    pub duplicate: f64,

    /// Percent of the frames that others overtake.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    #[arg(help_heading = "Faults of the path")]
    pub reorder: f64,

    /// Percent of the IP packets in which a bit is wrong.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    #[arg(help_heading = "Faults of the path")]
    pub corrupt: f64,

    /// The board's cable is pulled out for a second every so many seconds.
    #[arg(long, value_name = "SECONDS")]
    #[arg(help_heading = "Faults of the path")]
    pub flap: Option<u32>,

    /// Milliseconds that a frame takes in each direction.
    #[arg(long, value_name = "MILLISECONDS", default_value = "0")]
    #[arg(help_heading = "Faults of the path")]
    pub delay: u32,
}

/// Where the board has its address from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// The command line.
    #[default]
    Fixed,
    /// The program finds one.
    Dynamic,
}

/// The link to the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link<'a> {
    /// A socket pair to the gateway in this program.
    Gateway,
    /// A TAP device in a network namespace of its own.
    OwnTap,
    /// The TAP device of this name.
    Tap(&'a str),
}

/// A port of 127.0.0.1 and the board's port behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The port of 127.0.0.1; 0: any.
    pub host: u16,
    /// The board's port.
    pub board: u16,
    /// What is forwarded.
    pub protocol: Protocol,
}

/// What a port is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Network {
    /// The link.
    pub fn link(&self) -> Link<'_> {
        match &self.tap {
            None => Link::Gateway,
            Some(None) => Link::OwnTap,
            Some(Some(name)) => Link::Tap(name),
        }
    }

    /// The board's address and network.
    ///
    /// # Errors
    /// A sentence: the mask is none.
    pub fn subnet(&self) -> Result<Subnet, String> {
        let ones = u32::from(self.mask).leading_ones();
        let is_mask = ones == u32::from(self.mask).count_ones();
        u8::try_from(ones)
            .ok()
            .filter(|_| is_mask)
            .and_then(|prefix| Subnet::new(self.addr, prefix))
            .ok_or_else(|| format!("{} is not a network mask", self.mask))
    }

    /// What the path does to frames.
    pub fn faults(&self) -> Faults {
        Faults {
            loss: self.loss / 100.0,
            duplicate: self.duplicate / 100.0,
            reorder: self.reorder / 100.0,
            corrupt: self.corrupt / 100.0,
            delay: Duration::from_millis(self.delay.into()),
            seed: self.seed,
        }
    }
}

impl FromStr for Forward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ports, protocol) = match text.split_once('/') {
            None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some((_, other)) => return Err(format!("{other} is neither tcp nor udp")),
        };
        let (host, board) = ports
            .split_once(':')
            .ok_or("two ports with a colon are wanted")?;
        let port = |text: &str| text.parse().map_err(|_| format!("{text} is not a port"));
        let (host, board) = (port(host)?, port(board)?);
        if board == 0 {
            return Err("the board has no port 0".into());
        }
        Ok(Self {
            host,
            board,
            protocol,
        })
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{}:{}/{protocol}", self.host, self.board)
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let text = text.trim_end_matches('%');
    let percent: f64 = text
        .parse()
        .map_err(|_| format!("{text} is not a number"))?;
    if (0.0..=100.0).contains(&percent) {
        Ok(percent)
    } else {
        Err("a percentage is between 0 and 100".into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Forward, Protocol};

    #[test]
    fn forwards_are_read() {
        let tcp = Forward {
            host: 8080,
            board: 80,
            protocol: Protocol::Tcp,
        };
        assert_eq!("8080:80".parse(), Ok(tcp));
        assert_eq!("8080:80/tcp".parse(), Ok(tcp));
        let udp = Forward {
            host: 0,
            board: 7,
            protocol: Protocol::Udp,
        };
        assert_eq!("0:7/udp".parse(), Ok(udp));
        assert_eq!(udp.to_string().parse(), Ok(udp));
        for wrong in ["80", "a:80", "80:70000", "1:0", "1:2/sctp", ""] {
            assert!(wrong.parse::<Forward>().is_err(), "{wrong}");
        }
    }
}
