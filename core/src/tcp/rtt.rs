//! Round-trip time estimation and the retransmission timeout (RFC 6298), on a fine clock.
use core::time::Duration;

use crate::config::TcpConfig;

/// Smoothed round-trip time of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Rtt {
    smoothed: Option<Smoothed>,
    /// Timeouts since the last measurement; each doubles the timeout (RFC 6298 §5.5).
    backoff: u8,
}

#[derive(Clone, Copy, Debug)]
struct Smoothed {
    srtt: Duration,
    rttvar: Duration,
}

impl Rtt {
    pub(crate) const NEW: Self = Self {
        smoothed: None,
        backoff: 0,
    };

    /// Takes a measurement `r`; ends the back-off.
    pub(crate) fn measured(&mut self, r: Duration) {
        self.backoff = 0;
        self.smoothed = Some(match self.smoothed {
            // RFC 6298 §2.2: the first measurement.
            None => Smoothed {
                srtt: r,
                rttvar: Duration::from_nanos(nanos(r) / 2),
            },
            // RFC 6298 §2.3: RTTVAR first, with the old SRTT; alpha = 1/8, beta = 1/4.
            Some(Smoothed { srtt, rttvar }) => {
                let difference = nanos(srtt).abs_diff(nanos(r));
                Smoothed {
                    rttvar: Duration::from_nanos(nanos(rttvar) / 4 * 3 + difference / 4),
                    srtt: Duration::from_nanos(nanos(srtt) / 8 * 7 + nanos(r) / 8),
                }
            }
        });
    }

    /// The retransmission timer expired (RFC 6298 §5.5).
    pub(crate) fn timed_out(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// New data was acknowledged without a measurement: the path works, so the doubling ends
    /// (RFC 6298 §5.7 note; Linux does the same).
    pub(crate) fn progress(&mut self) {
        self.backoff = 0;
    }

    /// The current timeout, between `rto_min` and `rto_max`.
    pub(crate) fn rto(&self, config: &TcpConfig) -> Duration {
        let base = match self.smoothed {
            None => config.rto_initial,
            // RFC 6298 §2.3: SRTT + max(G, 4 RTTVAR). The variance term carries the minimum, as
            // in Linux, so that a long steady path does not time out on the first jitter.
            Some(Smoothed { srtt, rttvar }) => {
                srtt.saturating_add(rttvar.saturating_mul(4).max(config.rto_min))
            }
        };
        let doubled = base.saturating_mul(1 << self.backoff.min(16));
        doubled.min(config.rto_max).max(config.rto_min)
    }

    /// Mean deviation of the round-trip time, if measured.
    pub(crate) fn rttvar(&self) -> Option<Duration> {
        self.smoothed.map(|s| s.rttvar)
    }

    /// Smoothed round-trip time, if measured.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.smoothed.map(|s| s.srtt)
    }
}

/// As a plain number; the operators of `Duration` can panic. 584 years fit, more counts as that.
fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// `a + b * numerator / denominator`, as large as it can be.
pub(super) fn sum(a: Duration, b: Duration, numerator: u32, denominator: u32) -> Duration {
    let part = nanos(b).saturating_mul(numerator.into()) / u64::from(denominator.max(1));
    Duration::from_nanos(nanos(a).saturating_add(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_timeout_is_the_configured_one() {
        assert_eq!(Rtt::NEW.rto(&TcpConfig::default()), Duration::from_secs(1));
    }

    #[test]
    fn a_steady_path_converges_to_its_round_trip_plus_the_minimum() {
        let mut rtt = Rtt::NEW;
        for _ in 0..100 {
            rtt.measured(MS * 50);
        }
        let rto = rtt.rto(&TcpConfig::default());
        assert!(rto >= MS * 250 && rto < MS * 256, "{rto:?}");
    }

    #[test]
    fn timeouts_double_up_to_the_maximum_and_a_measurement_ends_that() {
        let mut rtt = Rtt::NEW;
        let config = TcpConfig::default();
        rtt.timed_out();
        assert_eq!(rtt.rto(&config), Duration::from_secs(2));
        for _ in 0..300 {
            rtt.timed_out();
        }
        assert_eq!(rtt.rto(&config), config.rto_max);
        rtt.measured(MS);
        assert!(rtt.rto(&config) < MS * 300);
    }
}
