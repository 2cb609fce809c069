//! Pools for simulated hosts, used again by later runs of the same thread.
use std::cell::RefCell;

use crate::storage::{Pools, leak_pool};

use super::plan::Rng;

/// Which pools a host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    rx: Size,
    tx: Size,
    header: Size,
    /// Blocks of a frame, or smaller ones.
    blocks: Blocks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Tiny,
    Small,
    Ample,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocks {
    Large,
    Small,
}

thread_local! {
    static IDLE: RefCell<Vec<(Shape, Pools)>> = const { RefCell::new(Vec::new()) };
}

impl Shape {
    /// Ample if the host is to succeed.
    pub fn new(rng: &mut Rng, ample: bool) -> Self {
        let mut size = || match rng.u8(..4) {
            _ if ample => Size::Ample,
            0 => Size::Tiny,
            1 => Size::Small,
            _ => Size::Ample,
        };
        Self {
            rx: size(),
            tx: size(),
            header: size(),
            blocks: match rng.u8(..3) {
                0 => Blocks::Small,
                _ => Blocks::Large,
            },
        }
    }

    /// A few dozen buffers of a frame each.
    pub const SMALL: Self = Self {
        rx: Size::Small,
        tx: Size::Small,
        header: Size::Small,
        blocks: Blocks::Large,
    };

    /// Pools of this shape, all at rest.
    pub fn take(self) -> Pools {
        IDLE.with_borrow_mut(|idle| {
            let found = idle.iter().position(|(shape, _)| *shape == self);
            found.map(|at| idle.swap_remove(at).1)
        })
        .unwrap_or_else(|| self.leak())
    }

    /// Gives pools back for the next run; those that are not at rest are not used again.
    pub fn give(self, pools: Pools) {
        if pools.at_rest() {
            IDLE.with_borrow_mut(|idle| idle.push((self, pools)));
        }
    }

    fn leak(self) -> Pools {
        let large = self.blocks == Blocks::Large;
        Pools {
            rx: match (self.rx, large) {
                (Size::Tiny, true) => leak_pool::<8, 1536>("rx", 8),
                (Size::Tiny, false) => leak_pool::<24, 256>("rx", 8),
                (Size::Small, true) => leak_pool::<32, 1536>("rx", 16),
                (Size::Small, false) => leak_pool::<128, 256>("rx", 16),
                (Size::Ample, true) => leak_pool::<600, 1536>("rx", 600),
                (Size::Ample, false) => leak_pool::<2000, 256>("rx", 1000),
            },
            tx: match (self.tx, large) {
                (Size::Tiny, true) => leak_pool::<4, 1536>("tx", 8),
                (Size::Tiny, false) => leak_pool::<8, 512>("tx", 16),
                (Size::Small, true) => leak_pool::<32, 1536>("tx", 64),
                (Size::Small, false) => leak_pool::<64, 512>("tx", 128),
                (Size::Ample, true) => leak_pool::<800, 1536>("tx", 4000),
                (Size::Ample, false) => leak_pool::<2400, 512>("tx", 6000),
            },
            header: match self.header {
                Size::Tiny => leak_pool::<6, 128>("header", 6),
                Size::Small => leak_pool::<16, 128>("header", 16),
                Size::Ample => leak_pool::<512, 128>("header", 512),
            },
        }
    }
}
