//! Descriptors for tests.
use gannet_sockets::bsd::*;

use super::{local, net};

gannet_sockets::descriptors! { static FDS: 96 from 3 }

/// The table, made the default one.
pub(crate) fn table() -> &'static Descriptors {
    net();
    FDS.make_default();
    &FDS
}

/// A listener on a free port of loopback.
pub(crate) fn listener(backlog: i32) -> Fd {
    table();
    let fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    bind(fd, local(0)).expect("a free port");
    listen(fd, backlog).expect("bound");
    fd
}

/// A connected pair.
pub(crate) fn pair() -> [Fd; 2] {
    let listener = listener(1);
    let client = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP).expect("free");
    connect(client, getsockname(listener).expect("bound")).expect("somebody listens");
    let (server, peer) = accept(listener).expect("it waits");
    assert_eq!(Ok(peer), getsockname(client));
    closed([listener]);
    [client, server]
}

/// Closes all of `fds`.
pub(crate) fn closed<const N: usize>(fds: [Fd; N]) {
    fds.into_iter().for_each(|fd| close(fd).expect("open"));
}

/// Descriptors that are closed when dropped.
pub(crate) struct Fds(pub(crate) Vec<Fd>);

impl Fds {
    /// `n` UDP sockets.
    pub(crate) fn open(n: usize) -> Self {
        table();
        Self(
            (0..n)
                .map(|_| socket(AF_INET, SOCK_DGRAM, IPPROTO_IP).expect("free"))
                .collect(),
        )
    }
}

impl Drop for Fds {
    fn drop(&mut self) {
        self.0.iter().for_each(|fd| {
            let _ = close(*fd);
        });
    }
}
