//! What is known of the querier on a link: the oldest version spoken there, and what it has said of
//! its ways (RFC 3376 §7.2.1, §8).
use core::time::Duration;

use crate::time::Instant;
use crate::wire::igmp;

/// RFC 3376 §8.1, §8.2: until a querier says otherwise.
const ROBUSTNESS: u8 = 2;
const QUERY_INTERVAL: Duration = Duration::from_secs(125);

/// Which version this host speaks: RFC 3376 §7.2.1, the host compatibility mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    V1,
    V2,
    V3,
}

impl Version {
    /// Within what time a change is told again.
    pub(super) fn unsolicited_interval(self) -> Duration {
        match self {
            // RFC 2236 §8.10.
            Self::V1 | Self::V2 => Duration::from_secs(10),
            // RFC 3376 §8.11.
            Self::V3 => Duration::from_secs(1),
        }
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Querier {
    /// Until then a querier of version 1 is there.
    v1_until: Instant,
    v2_until: Instant,
    /// As last looked at.
    version: Version,
    robustness: u8,
    interval: Duration,
    /// When a query of all groups is answered, in version 3.
    pub(super) respond_at: Instant,
}

impl Default for Querier {
    fn default() -> Self {
        Self {
            v1_until: Instant::ZERO,
            v2_until: Instant::ZERO,
            version: Version::V3,
            robustness: ROBUSTNESS,
            interval: QUERY_INTERVAL,
            respond_at: Instant::MAX,
        }
    }
}

impl Querier {
    /// How often a change is told.
    pub(super) fn robustness(&self) -> u8 {
        self.robustness
    }

    /// The version as last looked at.
    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Learns from a query.
    pub(super) fn heard(&mut self, now: Instant, query: &igmp::Query) {
        // RFC 3376 §8.12, "Older Version Querier Present Timeout".
        let interval = self.interval.saturating_mul(self.robustness.into());
        let until = now + interval + query.max_response;
        match query.querier {
            igmp::Querier::V1 => self.v1_until = until,
            // RFC 3376 §7.2.1: general queries only.
            igmp::Querier::V2 if query.group.is_none() => self.v2_until = until,
            igmp::Querier::V2 => {}
            igmp::Querier::V3 {
                robustness,
                interval,
                ..
            } => {
                // RFC 3376 §4.1.6, §4.1.7: zero says nothing.
                self.robustness = match robustness {
                    0 => ROBUSTNESS,
                    robustness => robustness,
                };
                self.interval = match interval {
                    Duration::ZERO => QUERY_INTERVAL,
                    interval => interval,
                };
            }
        }
    }

    /// Looks which version to speak now. No timer is needed for that: nobody sees which version is
    /// not spoken.
    pub(super) fn version_at(&mut self, now: Instant) -> Version {
        self.version = if now < self.v1_until {
            Version::V1
        } else if now < self.v2_until {
            Version::V2
        } else {
            Version::V3
        };
        self.version
    }
}
