//! Round-trip time estimation and the retransmission timeout (RFC 6298), on a fine clock.
use crate::config::TcpConfig;
use crate::time::{Instant, Span};

/// The longest round trip that is told apart from longer ones: what fits eightfold in 32 bits.
const LONGEST: u32 = u32::MAX / 8;

/// Smoothed round-trip time of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Rtt {
    smoothed: Option<Smoothed>,
    /// Timeouts since the last measurement; each doubles the timeout (RFC 6298 §5.5).
    backoff: u8,
    /// What follows from the two above and the limits: computed when they change, because it is
    /// asked for several times as often.
    rto: Span,
    /// As configured: the timeout before the first measurement, and its limits.
    initial: Span,
    least: Span,
    most: Span,
    /// As configured: how long the peer may hold an acknowledgement back.
    #[cfg_attr(not(feature = "sack"), allow(dead_code, reason = "for probes"))]
    ack_delay: Span,
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
        rto: Span::ZERO,
        initial: Span::ZERO,
        least: Span::ZERO,
        most: Span::ZERO,
        ack_delay: Span::ZERO,
    };

    /// Before the first measurement.
    pub(crate) fn new(config: &TcpConfig) -> Self {
        let least = Span::of(config.rto_min);
        let most = Span::of(config.rto_max).max(least);
        let mut rtt = Self {
            initial: Span::of(config.rto_initial),
            least,
            most,
            ack_delay: Span::of(config.max_ack_delay),
            ..Self::UNUSED
        };
        rtt.compute_rto();
        rtt
    }

    /// Takes a measurement `r`; ends the back-off.
    pub(crate) fn measured(&mut self, r: Span) {
        let r = r.as_micros().min(LONGEST);
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
                // At most 8 LONGEST, and half of that.
                Smoothed {
                    rttvar_times_4: (rttvar_times_4 - rttvar_times_4 / 4).wrapping_add(deviation),
                    srtt_times_8: (srtt_times_8 - srtt_times_8 / 8).wrapping_add(r),
                }
            }
        });
        self.compute_rto();
    }

    /// The retransmission timer expired (RFC 6298 §5.5).
    pub(crate) fn timed_out(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
        self.rto = self.rto.times(2).min(self.most);
    }

    /// New data was acknowledged without a measurement: the path works, so the doubling ends
    /// (RFC 6298 §5.7 note; Linux does the same).
    pub(crate) fn progress(&mut self) {
        if self.backoff > 0 {
            self.backoff = 0;
            self.compute_rto();
        }
    }

    /// The current timeout, between `rto_min` and `rto_max`.
    pub(crate) const fn rto(&self) -> Span {
        self.rto
    }

    /// The longest timeout.
    pub(crate) const fn most(&self) -> Span {
        self.most
    }

    /// How long the peer may hold an acknowledgement back.
    #[cfg(feature = "sack")]
    pub(crate) const fn ack_delay(&self) -> Span {
        self.ack_delay
    }

    /// When what is sent at `now` times out.
    pub(crate) fn deadline(&self, now: Instant) -> Instant {
        now + self.rto
    }

    /// Without back-off.
    fn compute_rto(&mut self) {
        self.rto = match self.smoothed {
            None => self.initial.max(self.least),
            // RFC 6298 §2.3: SRTT + max(G, 4 RTTVAR). The variance term carries the minimum, as
            // in Linux, so that a long steady path does not time out on the first jitter.
            Some(Smoothed {
                srtt_times_8,
                rttvar_times_4,
            }) => {
                let variance = Span::from_micros(rttvar_times_4).max(self.least);
                Span::from_micros(srtt_times_8 / 8).saturating_add(variance)
            }
        }
        .min(self.most);
    }

    /// Mean deviation of the round-trip time, if measured.
    pub(crate) fn rttvar(&self) -> Option<Span> {
        self.smoothed
            .map(|s| Span::from_micros(s.rttvar_times_4 / 4))
    }

    /// Smoothed round-trip time, if measured.
    pub(crate) fn srtt(&self) -> Option<Span> {
        self.smoothed.map(|s| Span::from_micros(s.srtt_times_8 / 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Span = Span::from_millis(1);

    #[test]
    fn the_first_timeout_is_the_configured_one() {
        assert_eq!(Rtt::new(&TcpConfig::default()).rto(), Span::from_secs(1));
    }

    #[test]
    fn a_steady_path_converges_to_its_round_trip_plus_the_minimum() {
        let config = TcpConfig::default();
        let mut rtt = Rtt::new(&config);
        for _ in 0..100 {
            rtt.measured(MS.times(50));
        }
        let rto = rtt.rto();
        assert!(rto >= MS.times(250) && rto < MS.times(256), "{rto:?}");
    }

    #[test]
    fn timeouts_double_up_to_the_maximum_and_a_measurement_ends_that() {
        let config = TcpConfig::default();
        let mut rtt = Rtt::new(&config);
        rtt.timed_out();
        assert_eq!(rtt.rto(), Span::from_secs(2));
        for _ in 0..300 {
            rtt.timed_out();
        }
        assert_eq!(rtt.rto(), Span::of(config.rto_max));
        rtt.measured(MS);
        assert!(rtt.rto() < MS.times(300));
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
            rtt.measured(Span::from_micros((sample * 1e3) as u32));
            let near = |is: Option<Span>, should: f64| {
                (f64::from(is.unwrap_or_default().as_micros()) / 1e3 - should).abs() < 0.005
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
            rtt.measured(Span::MAX);
        }
        assert_eq!(rtt.rto(), Span::of(config.rto_max));
        assert!(rtt.srtt() > Some(Span::from_secs(500)));
    }
}
