//! Several slices as one run of bytes, without copying them together first: what vectored calls
//! read from and write to.
use gannet_core::{NoBufs, Pbuf, Pool};

/// Bytes to be sent, in slices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gather<'a> {
    bufs: &'a [&'a [u8]],
    /// Bytes of the first slice that are done.
    skip: usize,
    left: usize,
}

impl<'a> Gather<'a> {
    pub(crate) fn new(bufs: &'a [&'a [u8]]) -> Self {
        Self {
            bufs,
            skip: 0,
            left: bufs.iter().map(|buf| buf.len()).sum(),
        }
    }

    /// Bytes left.
    pub(crate) const fn len(&self) -> usize {
        self.left
    }

    /// The next slice, cut to `max` bytes; empty at the end.
    fn chunk(&self, max: usize) -> &'a [u8] {
        let rest = self
            .bufs
            .first()
            .and_then(|first| first.get(self.skip..))
            .unwrap_or(&[]);
        rest.get(..max).unwrap_or(rest)
    }

    /// The next `n` bytes are done.
    fn advance(&mut self, n: usize) {
        self.skip += n;
        self.left = self.left.saturating_sub(n);
        self.settle();
    }

    /// Leaves slices that are done.
    fn settle(&mut self) {
        while let Some((first, rest)) = self.bufs.split_first() {
            if self.skip < first.len() {
                return;
            }
            (self.bufs, self.skip) = (rest, 0);
        }
    }

    /// Hands the next `n` bytes to `sink` slice by slice; stops early when it takes less than it
    /// is given. Returns how many it took.
    pub(crate) fn feed(&mut self, n: usize, mut sink: impl FnMut(&[u8]) -> usize) -> usize {
        let mut done = 0;
        self.settle();
        while done < n {
            let chunk = self.chunk(n - done);
            if chunk.is_empty() {
                break;
            }
            let taken = sink(chunk).min(chunk.len());
            self.advance(taken);
            done += taken;
            if taken < chunk.len() {
                break;
            }
        }
        done
    }

    /// Copies the next `n` bytes into buffers of `pool`, with `headroom` free bytes in front.
    /// Nothing is consumed on error.
    pub(crate) fn copy_out(
        &mut self,
        pool: &'static Pool,
        headroom: usize,
        n: usize,
    ) -> Result<Pbuf, NoBufs> {
        let mut source = *self;
        let mut left = n.min(source.left);
        // Asked first, so that a hopeless request copies nothing and keeps nobody waiting.
        if (headroom + left).div_ceil(pool.block_size().max(1)) > pool.available() {
            return Err(NoBufs);
        }
        let mut copy = Pbuf::alloc(pool, headroom, 0)?;
        loop {
            left -= source.feed(left, |chunk| copy.append_copy(chunk));
            if left == 0 {
                *self = source;
                return Ok(copy);
            }
            // The block is full.
            copy.cat(Pbuf::alloc(pool, 0, 0)?);
        }
    }
}

/// Copies `data` to the bytes of `bufs` from `at` on; returns how many bytes.
pub(crate) fn scatter(data: &Pbuf, bufs: &mut [&mut [u8]], at: usize) -> usize {
    let (mut skip, mut done) = (at, 0);
    for buf in bufs {
        let Some(room) = buf.get_mut(skip..) else {
            skip -= buf.len();
            continue;
        };
        skip = 0;
        done += data.copy_to(done, room);
    }
    done
}

#[cfg(test)]
mod tests;
