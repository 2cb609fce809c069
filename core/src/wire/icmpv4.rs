//! ICMP for IPv4 ([RFC 792]): echo and the errors; when to send and whom to believe is elsewhere.
//!
//! [RFC 792]: https://www.rfc-editor.org/rfc/rfc792
use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Malformed, NoRoom, checksum, clip};

/// The header all messages share, exactly as on the wire.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    kind: u8,
    code: u8,
    checksum: U16,
    /// Identifier of an echo; pointer of a parameter problem in the upper byte.
    high: U16,
    /// Sequence number of an echo; MTU of the next hop.
    low: U16,
}

/// Length of an ICMP header in bytes.
pub const HEADER_LEN: usize = 8;
const _: () = assert!(size_of::<Header>() == HEADER_LEN);

const ECHO_REPLY: u8 = 0;
const DESTINATION_UNREACHABLE: u8 = 3;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const PARAMETER_PROBLEM: u8 = 12;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Ping.
    EchoRequest(Echo),
    /// The answer to a ping.
    EchoReply(Echo),
    /// A packet could not be delivered.
    DestinationUnreachable(Unreachable),
    /// A packet took too long.
    TimeExceeded(Exceeded),
    /// A header made no sense.
    ParameterProblem {
        /// Code: 0, the pointer counts; 1, an option is missing; 2, a length is wrong.
        code: u8,
        /// The offset of the offending byte in the quoted packet.
        pointer: u8,
    },
    /// Any other message: to be ignored silently (RFC 1122 §3.2.2).
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
}

/// The fields of an echo, which the answer repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Identifier.
    pub ident: u16,
    /// Sequence number.
    pub seq: u16,
}

/// Why a destination is unreachable ([RFC 792], [RFC 1122 §3.2.2.1], [RFC 1812 §5.2.7.1]).
///
/// [RFC 792]: https://www.rfc-editor.org/rfc/rfc792
/// [RFC 1122 §3.2.2.1]: https://www.rfc-editor.org/rfc/rfc1122#page-38
/// [RFC 1812 §5.2.7.1]: https://www.rfc-editor.org/rfc/rfc1812#section-5.2.7.1
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreachable {
    /// No route to the network.
    Network,
    /// The host does not answer.
    Host,
    /// The host does not know the protocol.
    Protocol,
    /// Nobody listens on the port.
    Port,
    /// The packet is too long and must not be fragmented.
    FragmentationNeeded {
        /// MTU of the next hop in bytes ([RFC 1191 §4]); zero from routers older than that.
        ///
        /// [RFC 1191 §4]: https://www.rfc-editor.org/rfc/rfc1191#section-4
        mtu: u16,
    },
    /// The source route could not be followed.
    SourceRouteFailed,
    /// The network is not known.
    NetworkUnknown,
    /// The host is not known.
    HostUnknown,
    /// The source is isolated.
    SourceIsolated,
    /// Communication with the network is prohibited.
    NetworkProhibited,
    /// Communication with the host is prohibited.
    HostProhibited,
    /// The network is unreachable for this type of service.
    NetworkService,
    /// The host is unreachable for this type of service.
    HostService,
    /// A filter is in the way.
    AdministrativelyProhibited,
    /// The precedence is not permitted.
    PrecedenceViolation,
    /// The precedence is too low.
    PrecedenceCutoff,
    /// A code above 15.
    Other(u8),
}

/// Which time was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exceeded {
    /// The packet had no hops left.
    TimeToLive,
    /// Fragments did not arrive in time.
    Reassembly,
    /// A code above 1.
    Other(u8),
}

/// A received message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    kind: Kind,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the message at the front of `first`; the IP payload has `total` bytes.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] if there is no whole header.
    pub fn parse(first: &'a [u8], total: usize) -> Result<Self, Malformed> {
        let (header, body) =
            Header::ref_from_prefix(clip(first, total)).map_err(|_| Malformed::Truncated)?;
        let kind = header.kind();
        Ok(Self { kind, body })
    }

    /// What the message says.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The packet an error is about, as far as the error quotes it and the first part holds it:
    /// for [`ipv4::Packet::parse_quoted`](super::ipv4::Packet::parse_quoted). `None` if this is
    /// not an error.
    pub fn quote(&self) -> Option<&'a [u8]> {
        self.kind.is_error().then_some(self.body)
    }
}

impl Kind {
    /// Whether this is an error message, about which no error may be sent (RFC 1122 §3.2.2).
    pub const fn is_error(self) -> bool {
        // RFC 792: source quench (4) and redirect (5) quote a packet too.
        matches!(
            self,
            Self::DestinationUnreachable(_)
                | Self::TimeExceeded(_)
                | Self::ParameterProblem { .. }
                | Self::Other { kind: 4 | 5, .. }
        )
    }

    /// Writes the header to the front of `out`, with checksum zero (see [`set_checksum`]). The
    /// data of the echo, or the quoted packet, follows it.
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than [`HEADER_LEN`].
    pub fn emit(self, out: &mut [u8]) -> Result<(), NoRoom> {
        let (kind, code, high, low) = match self {
            Self::EchoReply(echo) => (ECHO_REPLY, 0, echo.ident, echo.seq),
            Self::EchoRequest(echo) => (ECHO_REQUEST, 0, echo.ident, echo.seq),
            Self::DestinationUnreachable(why) => {
                (DESTINATION_UNREACHABLE, why.code(), 0, why.mtu())
            }
            Self::TimeExceeded(which) => (TIME_EXCEEDED, which.code(), 0, 0),
            Self::ParameterProblem { code, pointer } => {
                (PARAMETER_PROBLEM, code, u16::from(pointer) << 8, 0)
            }
            Self::Other { kind, code } => (kind, code, 0, 0),
        };
        let header = Header {
            kind,
            code,
            checksum: U16::ZERO,
            high: high.into(),
            low: low.into(),
        };
        header.write_to_prefix(out).map_err(|_| NoRoom)
    }

    /// Writes a whole message with its checksum: the header and `body`, the quoted packet of an
    /// error or the data of an echo. Returns the number of bytes written.
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than that.
    pub fn emit_with(self, body: &[u8], out: &mut [u8]) -> Result<usize, NoRoom> {
        let len = HEADER_LEN.checked_add(body.len()).ok_or(NoRoom)?;
        let out = out.get_mut(..len).ok_or(NoRoom)?;
        self.emit(out)?;
        let (header, rest) = out.split_at_mut_checked(HEADER_LEN).ok_or(NoRoom)?;
        let mut sum = checksum::Checksum::new();
        sum.add(header);
        sum.copy_and_sum(body, rest);
        set_checksum(header, sum.finish())?;
        Ok(len)
    }
}

/// Turns the echo request at the front of `message` into its reply; the checksum, which must have
/// been right, is updated and not computed anew. The data is not touched.
///
/// # Errors
/// [`Malformed::Truncated`], or [`Malformed::Operation`] if it is not an echo request.
pub fn reply_in_place(message: &mut [u8]) -> Result<(), Malformed> {
    let (header, _) = Header::mut_from_prefix(message).map_err(|_| Malformed::Truncated)?;
    if !matches!(header.kind(), Kind::EchoRequest(_)) {
        return Err(Malformed::Operation);
    }
    let old = u16::from_be_bytes([header.kind, header.code]);
    // RFC 792: the type becomes 0, everything else is repeated.
    (header.kind, header.code) = (ECHO_REPLY, 0);
    header.checksum = checksum::update(header.checksum.get(), old, 0).into();
    Ok(())
}

/// Sets the checksum of the header at the front of `header`, once the sum over it is known.
///
/// # Errors
/// [`NoRoom`] if there is no whole header.
pub fn set_checksum(header: &mut [u8], checksum: u16) -> Result<(), NoRoom> {
    let (header, _) = Header::mut_from_prefix(header).map_err(|_| NoRoom)?;
    header.checksum = checksum.into();
    Ok(())
}

impl Header {
    fn kind(&self) -> Kind {
        let echo = Echo {
            ident: self.high.get(),
            seq: self.low.get(),
        };
        match self.kind {
            ECHO_REPLY => Kind::EchoReply(echo),
            ECHO_REQUEST => Kind::EchoRequest(echo),
            DESTINATION_UNREACHABLE => {
                Kind::DestinationUnreachable(Unreachable::new(self.code, self.low.get()))
            }
            TIME_EXCEEDED => Kind::TimeExceeded(match self.code {
                0 => Exceeded::TimeToLive,
                1 => Exceeded::Reassembly,
                code => Exceeded::Other(code),
            }),
            PARAMETER_PROBLEM => Kind::ParameterProblem {
                code: self.code,
                pointer: (self.high.get() >> 8) as u8,
            },
            kind => Kind::Other {
                kind,
                code: self.code,
            },
        }
    }
}

impl Exceeded {
    fn code(self) -> u8 {
        match self {
            Self::TimeToLive => 0,
            Self::Reassembly => 1,
            Self::Other(code) => code,
        }
    }
}

impl Unreachable {
    fn new(code: u8, mtu: u16) -> Self {
        match code {
            0 => Self::Network,
            1 => Self::Host,
            2 => Self::Protocol,
            3 => Self::Port,
            4 => Self::FragmentationNeeded { mtu },
            5 => Self::SourceRouteFailed,
            6 => Self::NetworkUnknown,
            7 => Self::HostUnknown,
            8 => Self::SourceIsolated,
            9 => Self::NetworkProhibited,
            10 => Self::HostProhibited,
            11 => Self::NetworkService,
            12 => Self::HostService,
            13 => Self::AdministrativelyProhibited,
            14 => Self::PrecedenceViolation,
            15 => Self::PrecedenceCutoff,
            code => Self::Other(code),
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Network => 0,
            Self::Host => 1,
            Self::Protocol => 2,
            Self::Port => 3,
            Self::FragmentationNeeded { .. } => 4,
            Self::SourceRouteFailed => 5,
            Self::NetworkUnknown => 6,
            Self::HostUnknown => 7,
            Self::SourceIsolated => 8,
            Self::NetworkProhibited => 9,
            Self::HostProhibited => 10,
            Self::NetworkService => 11,
            Self::HostService => 12,
            Self::AdministrativelyProhibited => 13,
            Self::PrecedenceViolation => 14,
            Self::PrecedenceCutoff => 15,
            Self::Other(code) => code,
        }
    }

    fn mtu(self) -> u16 {
        match self {
            Self::FragmentationNeeded { mtu } => mtu,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests;
