//! One descriptor: a view of storage and the link to the next part. All arithmetic on offsets is
//! here; who owns descriptors and blocks is the business of `pool`.
use super::Pbuf;
use super::copy::copy;
use super::pool::{Pool, Storage, Viewed};

/// One descriptor. `off..off + len` is the view and lies inside `store`.
pub(crate) struct Node {
    pub(super) next: Option<Pbuf>,
    store: Storage,
    off: u16,
    len: u16,
}

impl Node {
    /// The most bytes one descriptor can view.
    pub(super) const MAX_LEN: usize = u16::MAX as usize;

    /// The view of `len` bytes of `store` at `off`, which the caller knows to be inside.
    #[inline]
    pub(super) fn new(store: Storage, off: u16, len: u16) -> Self {
        Self {
            next: None,
            store,
            off,
            len,
        }
    }

    /// A view of constant data, cut to the first [`Node::MAX_LEN`] bytes.
    pub(super) fn of_static(pool: &'static Pool, data: &'static [u8]) -> Self {
        let len = u16::try_from(data.len()).unwrap_or(u16::MAX);
        Self::new(Storage::of_static(pool, data), 0, len)
    }

    /// Another view, of at most `len` bytes from `skip` on, of the same storage. `None` if the
    /// block has 65,535 views already.
    pub(super) fn view(&self, skip: usize, len: usize) -> Option<Self> {
        let mut view = Self::new(self.store.share()?, self.off, self.len);
        view.cut_front(skip);
        view.cut_to(len);
        Some(view)
    }

    /// A view of the first `len` bytes and the `n` in front of them, which `write` is to fill and
    /// is shown the others for. `None`, changing nothing, if there is no room, fewer bytes, or
    /// another view of the block.
    #[inline]
    pub(super) fn view_headed(
        &mut self,
        n: usize,
        len: usize,
        write: impl FnOnce(&mut [u8], &[u8]),
    ) -> Option<Self> {
        let from = usize::from(self.off)
            .checked_sub(n)
            .filter(|_| len <= self.len())?;
        // Inside the block, whose size is 16 bits.
        let (off, len) = (from as u16, (n + len) as u16);
        let store = self.store.write_and_share(off, len, |all| {
            let (room, bytes) = all.split_at_mut_checked(n)?;
            write(room, bytes);
            Some(())
        })?;
        Some(Self::new(store, off, len))
    }

    /// The pool of the descriptor, and of the block if it views one.
    pub(super) fn pool(&self) -> &'static Pool {
        self.store.pool()
    }

    pub(super) fn viewed(&self) -> Viewed {
        self.store.viewed()
    }

    pub(super) fn len(&self) -> usize {
        self.len.into()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // Inside by the type's invariant.
        self.store.bytes(self.off, self.len)
    }

    /// The bytes for writing, if nobody else sees them.
    pub(super) fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        self.store.bytes_mut(self.off, self.len)
    }

    pub(super) fn is_writable(&self) -> bool {
        self.store.is_unique()
    }

    /// Size of the block it views; nothing for constant data.
    pub(super) fn block_size(&self) -> usize {
        self.store.block().map_or(0, |_| self.store.size())
    }

    pub(super) fn shares_block(&self, other: &Self) -> bool {
        let (block, other_block) = (self.store.block(), other.store.block());
        block.is_some() && block == other_block && core::ptr::eq(self.pool(), other.pool())
    }

    /// Bytes before the view that [`Node::grow_front`] could add.
    pub(super) fn headroom(&self) -> usize {
        if self.is_writable() {
            self.off.into()
        } else {
            0
        }
    }

    /// Bytes behind the view that [`Node::grow_back`] could add.
    pub(super) fn tailroom(&self) -> usize {
        if !self.is_writable() {
            return 0;
        }
        let end = usize::from(self.off) + self.len();
        self.store.size().saturating_sub(end)
    }

    /// Extends the view by `n` bytes to the front and returns them.
    #[inline]
    pub(super) fn grow_front(&mut self, n: usize) -> Option<&mut [u8]> {
        let n = u16::try_from(n).ok()?;
        let (off, len) = (self.off.checked_sub(n)?, self.len.checked_add(n)?);
        let new = self.store.bytes_mut(off, n)?;
        (self.off, self.len) = (off, len);
        Some(new)
    }

    /// Extends the view by `n` bytes to the front, to be read only; `false` if there are less.
    pub(super) fn uncover_front(&mut self, n: usize) -> bool {
        let Some((n, off)) = u16::try_from(n)
            .ok()
            .and_then(|n| Some((n, self.off.checked_sub(n)?)))
        else {
            return false;
        };
        let Some(len) = self.len.checked_add(n) else {
            return false;
        };
        (self.off, self.len) = (off, len);
        true
    }

    /// Extends the view by `n` bytes to the back and returns them.
    pub(super) fn grow_back(&mut self, n: usize) -> Option<&mut [u8]> {
        let n = u16::try_from(n).ok().filter(|_| n <= self.tailroom())?;
        let new = self.store.bytes_mut(self.off + self.len, n)?;
        self.len += n;
        Some(new)
    }

    /// Copies what fits of `data` behind the view; returns how many bytes.
    pub(super) fn append_copy(&mut self, data: &[u8]) -> usize {
        let Some(room) = self.store.bytes_behind_mut(self.off + self.len) else {
            return 0;
        };
        let n = data.len().min(room.len());
        copy(data, room);
        // Inside the block, whose size is 16 bits.
        self.len += n as u16;
        n
    }

    /// Hides the first `n` bytes, or all.
    pub(super) fn cut_front(&mut self, n: usize) {
        let n = u16::try_from(n).unwrap_or(u16::MAX).min(self.len);
        self.off += n;
        self.len -= n;
    }

    /// Hides all but the first `len` bytes.
    pub(super) fn cut_to(&mut self, len: usize) {
        self.len = self.len.min(u16::try_from(len).unwrap_or(u16::MAX));
    }
}
