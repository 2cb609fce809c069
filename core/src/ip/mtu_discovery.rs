//! What a connection or endpoint does about packets that are longer than the path carries.

/// Whether routers may fragment what is sent (`IP_MTU_DISCOVER`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MtuDiscovery {
    /// They may; packets longer than the MTU of the own link leave in fragments
    /// (`IP_PMTUDISC_DONT`).
    Fragment,
    /// TCP: as the stack is configured. Datagrams: as [`MtuDiscovery::Fragment`] (`IP_PMTUDISC_WANT`).
    #[default]
    AsConfigured,
    /// They may not. TCP: it finds out what fits (RFC 1191; Cargo feature `pmtud`). Datagrams: one
    /// that is longer than the link carries is refused, and what a router reports is told to a
    /// connected endpoint as [`Error::TooLong`](crate::Error::TooLong) (`IP_PMTUDISC_DO`).
    Discover,
}
