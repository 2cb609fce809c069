//! Byte ranges of a [`Pbuf`] across its parts: share, split, drop, copy.
use super::copy::copy;
use super::pool::NodeRef;
use super::{NoBufs, Pbuf};

/// A part that is not empty, and how many bytes are in front of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) part: NodeRef,
    pub(super) start: usize,
}

/// What [`Pbuf::cut`] did.
pub(super) struct Cut {
    /// The bytes behind the cut; `None` if there are none.
    pub(super) rest: Option<Pbuf>,
    /// Parts before the cut.
    pub(super) parts: usize,
    /// Descriptors that had to be taken, because the cut went through a part: 0 or 1.
    pub(super) taken: usize,
}

impl Pbuf {
    /// Another owner of the bytes `off..off + len`: no copy, the storage is shared. Takes one
    /// descriptor for each part it covers, from that part's pool.
    ///
    /// No bytes (`len` 0, `off` not behind the end) are an empty pbuf that shares no block.
    ///
    /// # Errors
    ///
    /// [`NoBufs`] without a free descriptor, or if the range is not inside the packet.
    #[doc(alias = "pbuf_ref")]
    pub fn slice(&self, off: usize, len: usize) -> Result<Self, NoBufs> {
        Ok(self.slice_and_place(off, len)?.0)
    }

    /// As [`Pbuf::slice`]; says also where the last part is that the slice has bytes of.
    pub(super) fn slice_and_place(
        &self,
        off: usize,
        len: usize,
    ) -> Result<(Self, Option<Place>), NoBufs> {
        let (mut skip, mut left) = (off, len);
        let (mut start, mut place) = (0, None);
        let mut out = None;
        let mut end = &mut out;
        let mut next = Some(self);
        while let Some(part) = next {
            let here = part.0.len();
            if left == 0 && skip <= here {
                break;
            }
            if skip < here {
                let n = left.min(here - skip);
                let view = part.0.view(skip, n).ok_or(NoBufs)?;
                end = &mut end.insert(Self::from_node(part.0.pool(), view)?).0.next;
                let part = part.0.address();
                place = Some(Place { part, start });
                left -= n;
                skip = 0;
            } else {
                skip -= here;
            }
            start += here;
            next = part.0.next.as_ref();
        }
        if left > 0 || skip > 0 && next.is_none() {
            return Err(NoBufs);
        }
        let out = match out {
            Some(out) => out,
            None => Self::empty(self.0.pool())?,
        };
        Ok((out, place))
    }

    /// Splits the packet: `self` keeps the first `at` bytes, the rest is returned. `None` if there
    /// is no rest. A block that the split goes through is shared by both.
    ///
    /// With `at` 0 all parts are returned and `self` becomes an empty pbuf without a block.
    ///
    /// # Errors
    ///
    /// [`NoBufs`], changing nothing, if the split goes through a part (or `at` is 0) and that
    /// part's pool has no free descriptor.
    #[doc(alias = "pbuf_split_64k")]
    pub fn split_off(&mut self, at: usize) -> Result<Option<Self>, NoBufs> {
        if at >= self.tot_len() {
            return Ok(None);
        }
        if at == 0 {
            let empty = Self::empty(self.0.pool())?;
            return Ok(Some(core::mem::replace(self, empty)));
        }
        Ok(self.cut(at)?.rest)
    }

    /// As [`Pbuf::split_off`], for `at` from 1 to less than the length, and says what became of
    /// the descriptors.
    pub(super) fn cut(&mut self, at: usize) -> Result<Cut, NoBufs> {
        let mut left = at;
        let mut parts = 1;
        let mut part = self;
        loop {
            let here = part.0.len();
            if left < here {
                let view = part.0.view(left, here - left).ok_or(NoBufs)?;
                let mut rest = Self::from_node(part.0.pool(), view)?;
                rest.0.next = part.0.next.take();
                part.0.cut_to(left);
                return Ok(Cut {
                    rest: Some(rest),
                    parts,
                    taken: 1,
                });
            }
            left -= here;
            if left == 0 {
                return Ok(Cut {
                    rest: part.0.next.take(),
                    parts,
                    taken: 0,
                });
            }
            match &mut part.0.next {
                Some(next) => part = next,
                None => {
                    return Ok(Cut {
                        rest: None,
                        parts,
                        taken: 0,
                    });
                }
            }
            parts += 1;
        }
    }

    /// Drops the first `n` bytes, or all there are, across parts; returns how many.
    ///
    /// Emptied parts are freed, but the last one stays, possibly empty: a pbuf has at least one.
    #[doc(alias = "pbuf_free_header")]
    pub fn advance(&mut self, n: usize) -> usize {
        if n < self.0.len() {
            self.0.cut_front(n);
            return n;
        }
        let mut left = n;
        while left >= self.0.len() {
            let Some(next) = self.0.next.take() else {
                break;
            };
            left -= self.0.len();
            *self = next;
        }
        let here = left.min(self.0.len());
        self.0.cut_front(here);
        n - (left - here)
    }

    /// Cuts the packet to at most `len` bytes, freeing the parts that fall off (never the first).
    #[doc(alias = "pbuf_realloc")]
    pub fn truncate(&mut self, len: usize) {
        let mut left = len;
        let mut part = self;
        loop {
            if left <= part.0.len() {
                part.0.cut_to(left);
                part.0.next = None;
                return;
            }
            left -= part.0.len();
            match &mut part.0.next {
                Some(next) => part = next,
                None => return,
            }
        }
    }

    /// Copies from offset `off` on into `dst`; returns how many bytes there were to copy.
    #[doc(alias = "pbuf_copy_partial")]
    pub fn copy_to(&self, off: usize, dst: &mut [u8]) -> usize {
        let wanted = dst.len();
        let (mut skip, mut left) = (off, dst);
        for part in self.parts() {
            let from = part.get(skip..).unwrap_or(&[]);
            skip = skip.saturating_sub(part.len());
            let (now, later) = left.split_at_mut(from.len().min(left.len()));
            copy(from, now);
            left = later;
            if left.is_empty() {
                break;
            }
        }
        wanted - left.len()
    }

    /// Writes `data` over the bytes of the packet, from the first on; returns how much fitted.
    /// Stops at a part whose block is shared or which is constant data.
    #[doc(alias = "pbuf_take")]
    pub fn copy_from(&mut self, data: &[u8]) -> usize {
        let mut left = data;
        let mut next = Some(self);
        while let Some(part) = next {
            let Some(room) = part.data_mut() else { break };
            let (now, later) = left.split_at(room.len().min(left.len()));
            copy(now, room);
            left = later;
            if left.is_empty() {
                break;
            }
            next = part.0.next.as_mut();
        }
        data.len() - left.len()
    }
}
