//! A bounded table of endpoints, in slots that the user gave, named by handles that cannot dangle.
use core::num::NonZeroU16;

use crate::error::Error;
use crate::handle::{RawHandle, next_generation};

/// Storage of one endpoint.
#[expect(
    unnameable_types,
    reason = "users name it by the aliases of raw and packet"
)]
#[derive(Debug)]
pub struct Slot<P> {
    generation: NonZeroU16,
    pcb: Option<P>,
}

impl<P> Slot<P> {
    /// An unused slot.
    pub const fn new() -> Self {
        Self {
            generation: NonZeroU16::MIN,
            pcb: None,
        }
    }

    fn handle(&self, index: u16) -> RawHandle {
        RawHandle {
            slot: index,
            generation: self.generation,
        }
    }
}

impl<P> Default for Slot<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// The endpoints of one protocol; at most 65,535.
#[derive(Debug)]
pub(crate) struct Table<P: 'static>(&'static mut [Slot<P>]);

impl<P> Table<P> {
    pub(crate) fn new(slots: &'static mut [Slot<P>]) -> Self {
        Self(slots)
    }

    /// # Errors
    /// [`Error::NoMemory`]: all slots are in use.
    pub(crate) fn insert(&mut self, pcb: P) -> Result<RawHandle, Error> {
        let (index, slot) = (0..u16::MAX)
            .zip(self.0.iter_mut())
            .find(|(_, slot)| slot.pcb.is_none())
            .ok_or(Error::NoMemory)?;
        slot.pcb = Some(pcb);
        Ok(slot.handle(index))
    }

    /// # Errors
    /// [`Error::Closed`]: the handle is stale.
    pub(crate) fn remove(&mut self, handle: RawHandle) -> Result<P, Error> {
        let slot = self
            .0
            .get_mut(usize::from(handle.slot))
            .filter(|slot| slot.generation == handle.generation)
            .ok_or(Error::Closed)?;
        let pcb = slot.pcb.take().ok_or(Error::Closed)?;
        slot.generation = next_generation(slot.generation);
        Ok(pcb)
    }

    /// # Errors
    /// [`Error::Closed`]: the handle is stale.
    pub(crate) fn of(&self, handle: RawHandle) -> Result<&P, Error> {
        self.0
            .get(usize::from(handle.slot))
            .filter(|slot| slot.generation == handle.generation)
            .and_then(|slot| slot.pcb.as_ref())
            .ok_or(Error::Closed)
    }

    /// # Errors
    /// [`Error::Closed`]: the handle is stale.
    pub(crate) fn of_mut(&mut self, handle: RawHandle) -> Result<&mut P, Error> {
        self.0
            .get_mut(usize::from(handle.slot))
            .filter(|slot| slot.generation == handle.generation)
            .and_then(|slot| slot.pcb.as_mut())
            .ok_or(Error::Closed)
    }

    /// The endpoint with this number, and its handle.
    pub(crate) fn at_mut(&mut self, index: u16) -> Option<(RawHandle, &mut P)> {
        let slot = self.0.get_mut(usize::from(index))?;
        let handle = slot.handle(index);
        Some((handle, slot.pcb.as_mut()?))
    }

    /// All endpoints, with their numbers.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u16, &mut P)> {
        (0..u16::MAX)
            .zip(self.0.iter_mut())
            .filter_map(|(index, slot)| Some((index, slot.pcb.as_mut()?)))
    }

    /// All endpoints.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &P> {
        self.0.iter().filter_map(|slot| slot.pcb.as_ref())
    }
}
