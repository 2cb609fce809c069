//! IGMP, all three versions ([RFC 1112] appendix I, [RFC 2236], [RFC 3376]): queries of routers and
//! reports of other hosts parsed, own reports written. When they are sent is the business of
//! `ip::igmp`.
//!
//! [RFC 1112]: https://www.rfc-editor.org/rfc/rfc1112
//! [RFC 2236]: https://www.rfc-editor.org/rfc/rfc2236
//! [RFC 3376]: https://www.rfc-editor.org/rfc/rfc3376
use core::net::Ipv4Addr;
use core::time::Duration;

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::checksum::checksum;
use super::{Malformed, NoRoom, clip};

/// What every message has: all there is of one of version 1 or 2.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    kind: u8,
    max_resp_code: u8,
    checksum: U16,
    /// Of a report of version 3: reserved, and the number of records.
    group: [u8; 4],
}

/// What a query of version 3 has besides.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct QueryTail {
    flags_robustness: u8,
    interval_code: u8,
    sources: U16,
}

/// A group record without sources and auxiliary data.
#[derive(Clone, Copy, Debug, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Record {
    kind: u8,
    aux_len: u8,
    sources: U16,
    group: [u8; 4],
}

/// Length of a message of version 1 or 2 in bytes; of the fixed part of a report of version 3.
pub const HEADER_LEN: usize = 8;
/// Length of a query of version 3 without sources in bytes: what has to be contiguous.
pub const QUERY_LEN: usize = 12;
/// Length of a record of a report of version 3 in bytes.
pub const RECORD_LEN: usize = 8;
const _: () = assert!(size_of::<Header>() == HEADER_LEN && size_of::<Record>() == RECORD_LEN);
const _: () = assert!(size_of::<Header>() + size_of::<QueryTail>() == QUERY_LEN);

const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

/// A received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A router asks who is in which group.
    Query(Query),
    /// Another host is in a group, and says so as of version 1 or 2.
    Report {
        /// The group.
        group: Ipv4Addr,
    },
    /// What is for routers only (leave, reports of version 3), or unknown.
    Other {
        /// The type.
        kind: u8,
    },
}

/// What a router asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Of what version it is.
    pub querier: Querier,
    /// The group asked for; `None`: all.
    pub group: Option<Ipv4Addr>,
    /// Within what time to answer.
    pub max_response: Duration,
}

/// The version of a query, and what only that version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Querier {
    /// RFC 1112.
    V1,
    /// RFC 2236.
    V2,
    /// RFC 3376.
    V3 {
        /// The querier's robustness variable: how often what matters is said. 0: it does not tell.
        robustness: u8,
        /// How often it asks; zero: it does not tell.
        interval: Duration,
        /// Sources asked for, in a query of a group.
        sources: u16,
    },
}

impl Message {
    /// Reads a message of which `first` holds the first [`QUERY_LEN`] bytes, or all; it has `total`.
    ///
    /// # Errors
    /// [`Malformed::Truncated`]; [`Malformed::TotalLength`]: no version has that length, or the
    /// sources promised are not there; [`Malformed::Group`].
    pub fn parse(first: &[u8], total: usize) -> Result<Self, Malformed> {
        let first = clip(first, total);
        let (header, rest) = Header::ref_from_prefix(first).map_err(|_| Malformed::Truncated)?;
        let group = Ipv4Addr::from(header.group);
        match header.kind {
            QUERY => Query::parse(header, rest, total).map(Self::Query),
            REPORT_V1 | REPORT_V2 if !group.is_multicast() => Err(Malformed::Group),
            REPORT_V1 | REPORT_V2 => Ok(Self::Report { group }),
            kind => Ok(Self::Other { kind }),
        }
    }
}

impl Query {
    fn parse(header: &Header, rest: &[u8], total: usize) -> Result<Self, Malformed> {
        let code = header.max_resp_code;
        let group = Ipv4Addr::from(header.group);
        // RFC 3376 §7.1: the length tells the version, and the code the older ones apart.
        let (querier, tenths) = match (total, code) {
            // RFC 2236 §4: a router of version 1 sends zero there, and means ten seconds.
            (HEADER_LEN, 0) => (Querier::V1, 100),
            (HEADER_LEN, code) => (Querier::V2, u32::from(code)),
            (QUERY_LEN.., code) => {
                let (tail, _) =
                    QueryTail::ref_from_prefix(rest).map_err(|_| Malformed::Truncated)?;
                let sources = tail.sources.get();
                // RFC 3376 §4.1.10: more may follow, less must not.
                if total - QUERY_LEN < usize::from(sources) * 4 {
                    return Err(Malformed::TotalLength);
                }
                let querier = Querier::V3 {
                    robustness: tail.flags_robustness & 7,
                    interval: Duration::from_secs(decode(tail.interval_code).into()),
                    sources,
                };
                (querier, decode(code))
            }
            _ => return Err(Malformed::TotalLength),
        };
        let group = match querier {
            // RFC 1112 appendix I: "zeroed when sent, ignored when received".
            Querier::V1 => None,
            _ if group.is_unspecified() => None,
            _ if group.is_multicast() => Some(group),
            _ => return Err(Malformed::Group),
        };
        Ok(Self {
            querier,
            group,
            max_response: Duration::from_millis(100 * u64::from(tenths)),
        })
    }
}

/// RFC 3376 §4.1.1, §4.1.7: below 128 the number itself, else 4 bits of a mantissa and 3 of an
/// exponent. At most 31,744.
fn decode(code: u8) -> u32 {
    let code = u32::from(code);
    if code < 128 {
        return code;
    }
    ((code & 0xf) | 0x10) << ((code >> 4 & 7) + 3)
}

/// A message of version 1 or 2 to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simple {
    /// "I am in the group", RFC 1112.
    ReportV1,
    /// "I am in the group", RFC 2236.
    ReportV2,
    /// "I was the last to say that I am in the group, and am not any more", RFC 2236.
    Leave,
}

impl Simple {
    /// Writes the message about `group`, with its checksum, to the front of `out`.
    ///
    /// # Errors
    /// [`NoRoom`] if `out` is shorter than [`HEADER_LEN`].
    pub fn emit(self, group: Ipv4Addr, out: &mut [u8]) -> Result<(), NoRoom> {
        let out = out.get_mut(..HEADER_LEN).ok_or(NoRoom)?;
        let header = Header {
            kind: match self {
                Self::ReportV1 => REPORT_V1,
                Self::ReportV2 => REPORT_V2,
                Self::Leave => LEAVE,
            },
            max_resp_code: 0,
            checksum: U16::ZERO,
            group: group.octets(),
        };
        write_with_checksum(header, out)
    }
}

/// What a record of a report of version 3 says of its group (RFC 3376 §4.2.12). This host filters
/// no sources: it wants all, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// It is a member: MODE_IS_EXCLUDE, of no source.
    IsMember,
    /// It is a member now: CHANGE_TO_EXCLUDE_MODE, of no source.
    Joined,
    /// It is no member any more: CHANGE_TO_INCLUDE_MODE, of no source.
    Left,
}

/// Length of a report of version 3 with so many records.
pub const fn report_len(records: usize) -> usize {
    HEADER_LEN + RECORD_LEN * records
}

/// Writes a report of version 3 that fills `out`, as far as there are records for it; with its
/// checksum.
///
/// # Errors
/// [`NoRoom`] if `out` is shorter than a report of one record.
pub fn emit_report(
    records: impl Iterator<Item = (RecordKind, Ipv4Addr)>,
    out: &mut [u8],
) -> Result<(), NoRoom> {
    let (_, room) = out.split_at_mut_checked(HEADER_LEN).ok_or(NoRoom)?;
    if room.len() < RECORD_LEN {
        return Err(NoRoom);
    }
    let mut written = 0u16;
    for (place, (kind, group)) in room.chunks_exact_mut(RECORD_LEN).zip(records) {
        let record = Record {
            kind: match kind {
                RecordKind::IsMember => 2,
                RecordKind::Left => 3,
                RecordKind::Joined => 4,
            },
            aux_len: 0,
            sources: U16::ZERO,
            group: group.octets(),
        };
        record.write_to_prefix(place).map_err(|_| NoRoom)?;
        written = written.saturating_add(1);
    }
    let [high, low] = written.to_be_bytes();
    let header = Header {
        kind: REPORT_V3,
        max_resp_code: 0,
        checksum: U16::ZERO,
        group: [0, 0, high, low],
    };
    write_with_checksum(header, out)
}

/// Writes the header in front of what is there, with the checksum of all of it.
fn write_with_checksum(mut header: Header, out: &mut [u8]) -> Result<(), NoRoom> {
    header.write_to_prefix(out).map_err(|_| NoRoom)?;
    header.checksum = checksum(out).into();
    header.write_to_prefix(out).map_err(|_| NoRoom)
}

#[cfg(test)]
mod tests;
