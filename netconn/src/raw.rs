//! Raw IP connections (`NETCONN_RAW`): what there is besides what all datagrams have.
use gannet_core::wire::ipv4::Protocol;

use crate::control::{Control, Kind};
use crate::error::Error;
use crate::net::Net;
use crate::netconn::Netconn;

impl Netconn {
    /// A new raw IP endpoint of `net`: from now on it receives all packets of `protocol` for this
    /// host, IP header included, which the stack handles as well. [`Netconn::bind`] and
    /// [`Netconn::connect`] restrict it; ports mean nothing to it.
    ///
    /// # Errors
    /// [`Error::TooMany`]: all slots of the net are in use. [`Error::NoBuffers`]: the stack has no
    /// raw endpoint free.
    #[doc(alias = "netconn_new_with_proto_and_callback")]
    pub fn raw(net: &'static Net, protocol: Protocol) -> Result<Self, Error> {
        let conn = Self::new(net, Kind::Raw(protocol))?;
        match conn.ask(Control::Open, |_| Ok(())) {
            Ok(()) => Ok(conn),
            Err(error) => {
                conn.close();
                Err(error)
            }
        }
    }
}
