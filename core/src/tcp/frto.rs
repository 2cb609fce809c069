//! F-RTO: telling a spurious timeout from a real one by what the next two acknowledgements
//! cover (RFC 5682 §3.1, with SACK).

/// How far the test of a timeout has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frto {
    /// No test goes on.
    Idle,
    /// Step 1 is done: the first segment was sent again.
    FirstAck,
    /// Step 2b is done: new data leaves instead of retransmissions.
    SecondAck,
}

/// What an acknowledgement after a timeout tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It covers data that was in flight at the timeout and never sent again.
    Original,
    /// It advances, by what was sent again only.
    Advance,
    /// It does not advance.
    Duplicate,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Go on as after any timeout.
    Conventional,
    /// Send up to two new segments first (step 2b).
    SendNew,
    /// The timeout was spurious (step 3b).
    Spurious,
}

impl Frto {
    /// RFC 5682 §3.1, steps 2 and 3. `new_data`: whether new data could be sent.
    pub(crate) fn acked(&mut self, evidence: Evidence, new_data: NewData) -> Finding {
        let finding = match (*self, evidence) {
            (Self::Idle, _) => return Finding::Conventional,
            (Self::SecondAck, Evidence::Original) => Finding::Spurious,
            (Self::FirstAck, Evidence::Advance) if new_data == NewData::Ready => {
                *self = Self::SecondAck;
                return Finding::SendNew;
            }
            (Self::FirstAck | Self::SecondAck, _) => Finding::Conventional,
        };
        *self = Self::Idle;
        finding
    }
}

/// Whether there is new data, and a window for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewData {
    Ready,
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_data_goes_out_once_and_decides() {
        let mut test = Frto::FirstAck;
        assert_eq!(
            test.acked(Evidence::Advance, NewData::Ready),
            Finding::SendNew
        );
        assert_eq!(
            test.acked(Evidence::Original, NewData::None),
            Finding::Spurious
        );
        assert_eq!(test, Frto::Idle);
        let mut test = Frto::SecondAck;
        assert_eq!(
            test.acked(Evidence::Duplicate, NewData::Ready),
            Finding::Conventional
        );
        assert_eq!(test, Frto::Idle);
        let mut test = Frto::FirstAck;
        assert_eq!(
            test.acked(Evidence::Advance, NewData::None),
            Finding::Conventional
        );
    }
}
