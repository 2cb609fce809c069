//! ICMP errors, one by one: what C gets with `MSG_ERRQUEUE`, as control data of a message.
use core::net::IpAddr;

use gannet_netconn::{IcmpReport, Netconn};

use super::errno::Errno;
use super::flags::MSG_ERRQUEUE;
use super::message::ReceivedMsg;

/// Where an error comes from (`ee_origin`): ICMP. There are no others here.
pub const SO_EE_ORIGIN_ICMP: u8 = 2;

/// An error about a datagram that was sent (`struct sock_extended_err`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SockExtendedErr {
    /// The error, as the next call would tell it (`ee_errno`).
    pub errno: Errno,
    /// [`SO_EE_ORIGIN_ICMP`] (`ee_origin`).
    pub origin: u8,
    /// The type of the ICMP message (`ee_type`).
    pub icmp_type: u8,
    /// Its code (`ee_code`).
    pub code: u8,
    /// `EMSGSIZE`: the bytes that the next link carries, IP header included; else 0 (`ee_info`).
    pub info: u32,
    /// Who says so (`SO_EE_OFFENDER`).
    pub offender: IpAddr,
}

impl From<IcmpReport> for SockExtendedErr {
    fn from(report: IcmpReport) -> Self {
        Self {
            errno: gannet_netconn::Error::from(report.error).into(),
            origin: SO_EE_ORIGIN_ICMP,
            icmp_type: report.icmp_type,
            code: report.code,
            info: report.mtu.unwrap_or(0).into(),
            offender: report.offender,
        }
    }
}

/// Takes the oldest error, as a message without data from where the datagram was sent to.
pub(super) fn receive(conn: &Netconn) -> Result<ReceivedMsg, Errno> {
    let report = conn.take_icmp_error()?.ok_or(Errno::EAGAIN)?;
    Ok(ReceivedMsg {
        from: Some(report.sent_to),
        error: Some(report.into()),
        flags: MSG_ERRQUEUE,
        ..ReceivedMsg::NOTHING
    })
}
