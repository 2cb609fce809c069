//! In place of `sent_store` when the sender's half of SACK is left out: nothing is recorded.

/// Storage for the record of one segment in flight: empty without the feature `sack`.
#[derive(Debug, Default)]
pub struct SentSlot(());

impl SentSlot {
    /// An unused slot.
    pub const fn new() -> Self {
        Self(())
    }
}

/// The records of all connections: none.
#[derive(Debug)]
pub(crate) struct SentStore(());

impl SentStore {
    pub(crate) fn new(_: &'static mut [SentSlot], _: usize) -> Self {
        Self(())
    }
}
