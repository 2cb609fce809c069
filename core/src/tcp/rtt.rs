//! Round-trip time estimation and the retransmission timeout (RFC 6298), on a fine clock.
use core::time::Duration;

use crate::config::TcpConfig;
use crate::time::{Instant, micros};

/// The longest round trip that is told apart from longer ones: what fits eightfold in 32 bits.
const LONGEST: u32 = u32::MAX / 8;

/// Smoothed round-trip time of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Rtt {
    smoothed: Option<Smoothed>,
    /// Timeouts since the last measurement; each doubles the timeout (RFC 6298 §5.5).
    backoff: u8,
    /// What follows from the two above and the configuration, which never changes: computed when
    /// they change, because it is asked for several times as often. In microseconds.
    rto: u64,
}

/// In microseconds, scaled so that the smoothing is shifts and loses nothing by rounding.
#[derive(Clone, Copy, Debug)]
struct Smoothed {
    srtt_times_8: u32,
    rttvar_times_4: u32,
}

impl Rtt {
    /// Of a control block in no use.
    pub(crate) const UNUSED: Self = Self {
        smoothed: None,
        backoff: 0,
        rto: 0,
    };

    /// Before the first measurement.
    pub(crate) fn new(config: &TcpConfig) -> Self {
        let mut rtt = Self::UNUSED;
        rtt.compute_rto(config);
        rtt
    }

    /// Takes a measurement `r`; ends the back-off.
    pub(crate) fn measured(&mut self, r: Duration, config: &TcpConfig) {
        let r = u32::try_from(micros(r)).unwrap_or(LONGEST).min(LONGEST);
        self.backoff = 0;
        self.smoothed = Some(match self.smoothed {
            // RFC 6298 §2.2: the first measurement; RTTVAR is half of it.
            None => Smoothed {
                srtt_times_8: r * 8,
                rttvar_times_4: r * 2,
            },
            // RFC 6298 §2.3: RTTVAR first, with the old SRTT; alpha = 1/8, beta = 1/4. With
            // S = 8 SRTT the rule SRTT <- 7/8 SRTT + 1/8 R is S <- S - S/8 + R.
            Some(Smoothed {
                srtt_times_8,
                rttvar_times_4,
            }) => {
                let deviation = (srtt_times_8 / 8).abs_diff(r);
                Smoothed {
                    rttvar_times_4: (rttvar_times_4 - rttvar_times_4 / 4).saturating_add(deviation),
                    srtt_times_8: (srtt_times_8 - srtt_times_8 / 8).saturating_add(r),
                }
            }
        });
        self.compute_rto(config);
    }

    /// The retransmission timer expired (RFC 6298 §5.5).
    pub(crate) fn timed_out(&mut self, config: &TcpConfig) {
        self.backoff = self.backoff.saturating_add(1);
        self.compute_rto(config);
    }

    /// New data was acknowledged without a measurement: the path works, so the doubling ends
    /// (RFC 6298 §5.7 note; Linux does the same).
    pub(crate) fn progress(&mut self, config: &TcpConfig) {
        if self.backoff > 0 {
            self.backoff = 0;
            self.compute_rto(config);
        }
    }

    /// The current timeout, between `rto_min` and `rto_max`.
    pub(crate) const fn rto(&self) -> Duration {
        Duration::from_micros(self.rto)
    }

    /// When what is sent at `now` times out.
    pub(crate) const fn deadline(&self, now: Instant) -> Instant {
        now.plus_micros(self.rto)
    }

    fn compute_rto(&mut self, config: &TcpConfig) {
        let least = micros(config.rto_min);
        let base = match self.smoothed {
            None => micros(config.rto_initial),
            // RFC 6298 §2.3: SRTT + max(G, 4 RTTVAR). The variance term carries the minimum, as
            // in Linux, so that a long steady path does not time out on the first jitter.
            Some(Smoothed {
                srtt_times_8,
                rttvar_times_4,
            }) => u64::from(srtt_times_8 / 8).saturating_add(u64::from(rttvar_times_4).max(least)),
        };
        let doubled = base.saturating_mul(1 << self.backoff.min(16));
        let most = micros(config.rto_max).max(least);
        self.rto = doubled.clamp(least, most);
    }

    /// Mean deviation of the round-trip time, if measured.
    pub(crate) fn rttvar(&self) -> Option<Duration> {
        self.smoothed
            .map(|s| Duration::from_micros(u64::from(s.rttvar_times_4 / 4)))
    }

    /// Smoothed round-trip time, if measured.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.srtt_micros().map(Duration::from_micros)
    }

    /// The same in microseconds.
    pub(crate) fn srtt_micros(&self) -> Option<u64> {
        self.smoothed.map(|s| u64::from(s.srtt_times_8 / 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_timeout_is_the_configured_one() {
        assert_eq!(
            Rtt::new(&TcpConfig::default()).rto(),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn a_steady_path_converges_to_its_round_trip_plus_the_minimum() {
        let config = TcpConfig::default();
        let mut rtt = Rtt::new(&config);
        for _ in 0..100 {
            rtt.measured(MS * 50, &config);
        }
        let rto = rtt.rto();
        assert!(rto >= MS * 250 && rto < MS * 256, "{rto:?}");
    }

    #[test]
    fn timeouts_double_up_to_the_maximum_and_a_measurement_ends_that() {
        let config = TcpConfig::default();
        let mut rtt = Rtt::new(&config);
        rtt.timed_out(&config);
        assert_eq!(rtt.rto(), Duration::from_secs(2));
        for _ in 0..300 {
            rtt.timed_out(&config);
        }
        assert_eq!(rtt.rto(), config.rto_max);
        rtt.measured(MS, &config);
        assert!(rtt.rto() < MS * 300);
    }

    #[test]
    fn the_scaled_average_is_that_of_the_rfc() {
        let config = TcpConfig::default();
        let mut rtt = Rtt::new(&config);
        let (mut srtt, mut rttvar) = (0.0, 0.0);
        for (n, sample) in [100.0, 180.0, 60.0, 61.5, 400.0, 90.25]
            .into_iter()
            .enumerate()
        {
            if n == 0 {
                (srtt, rttvar) = (sample, sample / 2.0);
            } else {
                rttvar = 0.75 * rttvar + 0.25 * f64::abs(srtt - sample);
                srtt = 0.875 * srtt + 0.125 * sample;
            }
            rtt.measured(Duration::from_secs_f64(sample / 1e3), &config);
            let near = |is: Option<Duration>, should: f64| {
                (is.unwrap_or_default().as_secs_f64() * 1e3 - should).abs() < 0.005
            };
            assert!(
                near(rtt.srtt(), srtt) && near(rtt.rttvar(), rttvar),
                "{rtt:?}"
            );
        }
    }

    #[test]
    fn absurd_measurements_saturate() {
        let config = TcpConfig::default();
        let mut rtt = Rtt::new(&config);
        for _ in 0..100 {
            rtt.measured(Duration::MAX, &config);
        }
        assert_eq!(rtt.rto(), config.rto_max);
        assert!(rtt.srtt() > Some(Duration::from_secs(500)));
    }
}
