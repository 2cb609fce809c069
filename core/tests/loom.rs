//! Model checking of the two concurrent algorithms under the packet buffers, as plain logic:
//! `RUSTFLAGS="--cfg loom" cargo test -p gannet-core --test loom --release`
//!
//! Each model hands bytes, stood for by a loom cell, from one thread to another the way `pool`
//! does, and loom tries every interleaving and every value that the orderings allow to be read.
//! Without `--cfg loom` this file is empty.
#![cfg(loom)]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "loom checks these accesses"
)]
use gannet_core::pbuf::bitmap::{Bitmap, RefCount, Word, words};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

/// A bitmap with one cell for each slot: what the slot's owner may use.
struct Slots {
    bitmap: Bitmap,
    cells: Vec<UnsafeCell<u32>>,
}

impl Slots {
    fn new(slots: usize) -> Arc<Self> {
        let words: Vec<_> = (0..words(slots)).map(|_| Word::new()).collect();
        Arc::new(Self {
            bitmap: Bitmap::new(words.leak(), slots),
            cells: (0..slots).map(|_| UnsafeCell::new(0)).collect(),
        })
    }

    fn write(&self, index: u16) {
        self.cells[usize::from(index)].with_mut(|cell| unsafe { *cell += 1 });
    }

    fn read(&self, index: u16) -> u32 {
        self.cells[usize::from(index)].with(|cell| unsafe { *cell })
    }
}

/// A block of a pool: the only slot of a bitmap, counted.
struct Block {
    slots: Arc<Slots>,
    refs: RefCount,
}

impl Block {
    /// A block with so many handles.
    fn with_handles(handles: usize) -> Arc<Self> {
        let block = Self {
            slots: Slots::new(1),
            refs: RefCount::zero(),
        };
        assert!(block.take());
        for _ in 1..handles {
            assert!(block.refs.acquire());
        }
        Arc::new(block)
    }

    /// As `Pool::take_block`.
    fn take(&self) -> bool {
        let taken = self.slots.bitmap.take().is_some();
        if taken {
            self.refs.start();
        }
        taken
    }

    /// As the drop of a handle; whether it was the last.
    fn give_up(&self) -> bool {
        let last = self.refs.release();
        if last {
            self.slots.bitmap.release(0);
        }
        last
    }
}

/// Takes a slot, uses it, returns it; whether there was one.
fn use_one(slots: &Slots) -> bool {
    let Some(index) = slots.bitmap.take() else {
        return false;
    };
    slots.write(index);
    slots.bitmap.release(index);
    true
}

#[test]
fn a_slot_has_one_owner_at_a_time_who_sees_what_the_last_one_did() {
    loom::model(|| {
        let slots = Slots::new(1);
        let other = slots.clone();
        let thread = thread::spawn(move || use_one(&other));
        let mine = use_one(&slots);
        let theirs = thread.join().unwrap();
        // One of them may find it taken, not both.
        assert!(mine || theirs);
        assert_eq!((slots.bitmap.in_use(), slots.bitmap.peak()), (0, 1));
        assert_eq!(slots.read(0), u32::from(mine) + u32::from(theirs));
    });
}

#[test]
fn two_takers_of_two_slots_get_one_each() {
    loom::model(|| {
        let slots = Slots::new(2);
        let other = slots.clone();
        let take = |slots: &Slots| {
            let index = slots.bitmap.take().expect("there is one for each");
            slots.write(index);
            index
        };
        let thread = thread::spawn(move || take(&other));
        let mine = take(&slots);
        let theirs = thread.join().unwrap();
        assert_ne!(mine, theirs);
        assert_eq!((slots.bitmap.in_use(), slots.bitmap.peak()), (2, 2));
        assert_eq!((slots.read(0), slots.read(1)), (1, 1));
        assert_eq!(slots.bitmap.take(), None);
    });
}

#[test]
fn a_free_slot_in_another_word_is_found() {
    loom::model(|| {
        // The first word is full, all but one slot that another thread is after, too.
        let slots = Slots::new(33);
        for _ in 0..31 {
            slots.bitmap.take().expect("a slot");
        }
        let other = slots.clone();
        let thread = thread::spawn(move || other.bitmap.take());
        let mine = slots.bitmap.take().expect("31 or 32");
        let theirs = thread.join().unwrap().expect("31 or 32");
        assert_eq!(mine.min(theirs), 31);
        assert_eq!(mine.max(theirs), 32);
    });
}

#[test]
fn takers_and_returners_of_one_word_do_not_disturb_each_other() {
    loom::model(|| {
        let slots = Slots::new(2);
        let first = slots.bitmap.take().expect("a slot");
        slots.write(first);
        let other = slots.clone();
        let thread = thread::spawn(move || other.bitmap.release(first));
        // The second slot is free all the time.
        let mine = slots.bitmap.take().expect("one is free");
        slots.write(mine);
        thread.join().unwrap();
        assert_eq!(slots.bitmap.in_use(), 1);
        let rest = slots.bitmap.take().expect("the other one");
        assert_ne!(rest, mine);
        slots.write(rest);
        assert_eq!(slots.bitmap.take(), None);
    });
}

#[test]
fn who_hears_that_a_slot_was_returned_gets_it() {
    loom::model(|| {
        let slots = Slots::new(1);
        let index = slots.bitmap.take().expect("a slot");
        let told = Arc::new(AtomicBool::new(false));
        let (other, tell) = (slots.clone(), told.clone());
        let thread = thread::spawn(move || {
            other.bitmap.release(index);
            tell.store(true, Ordering::Release);
        });
        if told.load(Ordering::Acquire) {
            assert_eq!(slots.bitmap.take(), Some(index));
        }
        thread.join().unwrap();
    });
}

#[test]
fn the_last_of_two_handles_frees_the_block_once_after_all_reads() {
    loom::model(|| {
        let block = Block::with_handles(2);
        let drop_one = |block: &Block| {
            assert_eq!(block.slots.read(0), 0);
            let last = block.refs.release();
            if last {
                // What the next owner would do, without the help of the bitmap's orderings.
                block.slots.write(0);
            }
            last
        };
        let other = block.clone();
        let thread = thread::spawn(move || drop_one(&other));
        let mine = drop_one(&block);
        assert!(mine ^ thread.join().unwrap(), "exactly one is the last");
    });
}

#[test]
fn a_block_is_used_anew_only_after_both_handles_are_gone() {
    loom::model(|| {
        let block = Block::with_handles(2);
        let read_and_drop = |block: &Block| {
            assert_eq!(block.slots.read(0), 0);
            block.give_up()
        };
        let other = block.clone();
        let thread = thread::spawn(move || read_and_drop(&other));
        read_and_drop(&block);
        let again = block.take();
        if again {
            block.slots.write(0);
        }
        thread.join().unwrap();
        if again {
            assert!(block.refs.is_unique(), "the new handle is the only one");
            assert_eq!(block.slots.read(0), 1);
            assert!(block.give_up());
        }
        assert_eq!(block.slots.bitmap.in_use(), 0);
    });
}

#[test]
fn unique_means_exclusive() {
    loom::model(|| {
        let block = Block::with_handles(2);
        let other = block.clone();
        let thread = thread::spawn(move || {
            assert_eq!(other.slots.read(0), 0);
            other.give_up()
        });
        if block.refs.is_unique() {
            block.slots.write(0);
        }
        assert!(!thread.join().unwrap(), "one handle is left");
        assert!(block.refs.is_unique());
    });
}

#[test]
fn a_handle_made_from_another_keeps_the_block() {
    loom::model(|| {
        let block = Block::with_handles(2);
        let other = block.clone();
        let thread = thread::spawn(move || {
            // One handle becomes two, and both go.
            assert!(other.refs.acquire());
            assert!(!other.refs.is_unique());
            assert_eq!(other.slots.read(0), 0);
            u32::from(other.give_up()) + u32::from(other.give_up())
        });
        let mine = u32::from(block.give_up());
        assert_eq!(mine + thread.join().unwrap(), 1, "freed once");
        assert_eq!(block.slots.bitmap.in_use(), 0);
    });
}
