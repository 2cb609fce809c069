//! Running the example programs as a user would, and talking to them over sockets.
#![allow(dead_code, reason = "each test program uses a part")]
pub(crate) mod client;
pub(crate) mod raw_link;
mod running;

pub(crate) use running::*;

pub(crate) const HTTPD: &str = env!("CARGO_BIN_EXE_httpd");
pub(crate) const RESPONDER: &str = env!("CARGO_BIN_EXE_responder");
pub(crate) const SERVICES: &str = env!("CARGO_BIN_EXE_services");
pub(crate) const SERVICES_RAW: &str = env!("CARGO_BIN_EXE_services_raw");
pub(crate) const FETCH: &str = env!("CARGO_BIN_EXE_fetch");
pub(crate) const LOOPBACK: &str = env!("CARGO_BIN_EXE_loopback");

impl Running {
    pub(crate) fn httpd(args: &[&str]) -> Self {
        Self::start(HTTPD, &[Port::Tcp(80)], args)
    }
}
