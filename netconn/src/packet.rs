//! Packet connections, which see frames: what there is besides what all datagrams have.
use gannet_core::NetifId;
use gannet_core::packet::Filter;

use crate::control::{Control, Kind};
use crate::error::Error;
use crate::net::Net;
use crate::netconn::Netconn;

impl Netconn {
    /// A new packet endpoint of `net`: from now on it sees the frames of `filter`, of one interface
    /// or of all, link header first.
    ///
    /// It never starves the stack: a frame is seen only if at least a quarter of the buffers of its
    /// pool are free, and as many wait as the settings permit (`recv_queue`). What it did not get
    /// is counted ([`Netconn::take_dropped`]).
    ///
    /// # Errors
    /// [`Error::TooMany`]: all slots of the net are in use. [`Error::NoBuffers`]: the stack has no
    /// packet endpoint free. [`Error::Invalid`]: there is no such interface.
    #[doc(alias = "AF_PACKET")]
    pub fn packet(
        net: &'static Net,
        filter: Filter,
        netif: Option<NetifId>,
    ) -> Result<Self, Error> {
        let conn = Self::new(net, Kind::Packet)?;
        match conn.watch(filter, netif) {
            Ok(()) => Ok(conn),
            Err(error) => {
                conn.close();
                Err(error)
            }
        }
    }

    /// Sees other frames from now on; those that wait are still received.
    ///
    /// # Errors
    /// [`Error::NotSupported`]: no packet endpoint. [`Error::Invalid`]: there is no such interface.
    #[doc(alias = "bind")]
    pub fn watch(&self, filter: Filter, netif: Option<NetifId>) -> Result<(), Error> {
        self.ask(Control::Watch(filter, netif), |shared| match shared.kind {
            Kind::Packet => Ok(()),
            _ => Err(Error::NotSupported),
        })
    }
}
