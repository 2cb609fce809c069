//! The stacks that take part.
use crate::cell::{Cell, Made};

/// A stack that takes part.
#[derive(Clone, Copy)]
pub struct Contender {
    /// Its name.
    pub name: &'static str,
    /// What exactly it is, and what is to be known when reading its figures.
    pub about: &'static str,
    /// Makes a pair for a cell.
    pub make: fn(&Cell) -> Made,
}

/// All stacks. The first is the one the others are compared with.
pub const CONTENDERS: &[Contender] = &[
    Contender {
        name: "gannet",
        about: "this stack: all features, SACK, RFC 5681 congestion control, no window scaling",
        make: crate::gannet::make,
    },
    Contender {
        name: "smoltcp",
        about: "smoltcp 0.14.0, features std medium-ethernet proto-ipv4 socket-tcp socket-udp \
                socket-tcp-cubic socket-tcp-reno, congestion control none (its default), driven \
                by poll_ingress_single, the application, poll_egress",
        make: crate::smol::make,
    },
    Contender {
        name: "lwip",
        about: "Debian's liblwip as packaged (see README.md: gcc -O2, shared, dual stack, \
                asserts, heap; lwIP built with -O3 for one purpose needs about half the \
                instructions), raw API in one thread",
        make: crate::lwip::make,
    },
];
