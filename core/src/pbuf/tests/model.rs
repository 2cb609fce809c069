//! Random operations on pbufs and queues against vectors of bytes.
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

// Small, so that everything runs out all the time.
pbuf_pool! { static POOL: [32; 7] + refs 7 }

static CONSTANT: [u8; 80] = {
    let mut bytes = [0; 80];
    let mut n = 0;
    while n < 80 {
        bytes[n] = n as u8 | 0x80;
        n += 1;
    }
    bytes
};

#[derive(Clone, Debug)]
enum Op {
    Alloc(usize, Vec<u8>),
    Static(usize),
    Slice(Index, usize, usize),
    SplitOff(Index, usize),
    Advance(Index, usize),
    Truncate(Index, usize),
    AddHeader(Index, Vec<u8>),
    RemoveHeader(Index, usize),
    Grow(Index, Vec<u8>),
    AppendCopy(Index, Vec<u8>),
    CopyFrom(Index, Vec<u8>),
    Cat(Index, Index),
    Prepend(Index, Index),
    Drop(Index),
    Push(Index),
    PushFront(Index),
    PushCompact(Index, usize),
    QueueSlice(usize, usize),
    QueueTake(usize),
    QueueConsume(usize),
    QueueAppendCopy(Vec<u8>),
    QueueAppend,
    QueueTakeAll,
}

fn op() -> impl Strategy<Value = Op> {
    let any_bytes = |max| prop::collection::vec(any::<u8>(), 0..max);
    let pick = any::<Index>;
    let n = || 0..50usize;
    // Nested, for there are more than the macro takes.
    let making = prop_oneof![
        (0..36usize, any_bytes(100)).prop_map(|(headroom, data)| Op::Alloc(headroom, data)),
        (0..80usize).prop_map(Op::Static),
        (pick(), n(), n()).prop_map(|(i, off, len)| Op::Slice(i, off, len)),
        (pick(), n()).prop_map(|(i, at)| Op::SplitOff(i, at)),
        pick().prop_map(Op::Drop),
    ];
    let changing = prop_oneof![
        (pick(), n()).prop_map(|(i, n)| Op::Advance(i, n)),
        (pick(), n()).prop_map(|(i, n)| Op::Truncate(i, n)),
        (pick(), any_bytes(12)).prop_map(|(i, data)| Op::AddHeader(i, data)),
        (pick(), n()).prop_map(|(i, n)| Op::RemoveHeader(i, n)),
        (pick(), any_bytes(12)).prop_map(|(i, data)| Op::Grow(i, data)),
        (pick(), any_bytes(40)).prop_map(|(i, data)| Op::AppendCopy(i, data)),
        (pick(), any_bytes(60)).prop_map(|(i, data)| Op::CopyFrom(i, data)),
        (pick(), pick()).prop_map(|(i, j)| Op::Cat(i, j)),
        (pick(), pick()).prop_map(|(i, j)| Op::Prepend(i, j)),
    ];
    let queueing = prop_oneof![
        pick().prop_map(Op::Push),
        pick().prop_map(Op::PushFront),
        (pick(), 0..40usize).prop_map(|(i, limit)| Op::PushCompact(i, limit)),
        (n(), n()).prop_map(|(off, len)| Op::QueueSlice(off, len)),
        n().prop_map(Op::QueueTake),
        n().prop_map(Op::QueueConsume),
        any_bytes(40).prop_map(Op::QueueAppendCopy),
        Just(Op::QueueAppend),
        Just(Op::QueueTakeAll),
    ];
    prop_oneof![making, changing, queueing]
}

/// Pbufs and two queues with the bytes they should have.
#[derive(Default)]
struct World {
    pbufs: Vec<(Pbuf, Vec<u8>)>,
    queue: (Chain, Vec<u8>),
    other: (Chain, Vec<u8>),
}

impl World {
    fn at(&mut self, index: &Index) -> Option<&mut (Pbuf, Vec<u8>)> {
        if self.pbufs.is_empty() {
            return None;
        }
        let index = index.index(self.pbufs.len());
        self.pbufs.get_mut(index)
    }

    fn remove(&mut self, index: &Index) -> Option<(Pbuf, Vec<u8>)> {
        if self.pbufs.is_empty() {
            return None;
        }
        Some(self.pbufs.swap_remove(index.index(self.pbufs.len())))
    }

    /// Does one thing; `None` if there is nothing to do it to.
    fn apply(&mut self, op: Op) -> Option<()> {
        match op {
            Op::Alloc(headroom, data) => match Pbuf::alloc(&POOL, headroom, data.len()) {
                Ok(mut pbuf) => {
                    assert_eq!(pbuf.headroom(), headroom);
                    assert_eq!(pbuf.copy_from(&data), data.len());
                    self.pbufs.push((pbuf, data));
                }
                Err(NoBufs) => {
                    let first = data.len().min(32usize.saturating_sub(headroom));
                    let need = 1 + (data.len() - first).div_ceil(32);
                    let enough = need <= POOL.available() && need <= POOL.descriptors_available();
                    assert!(
                        headroom > 32 || !enough,
                        "refused {headroom} + {}",
                        data.len()
                    );
                }
            },
            Op::Static(len) => match Pbuf::from_static(&POOL, &CONSTANT[..len]) {
                Ok(pbuf) => self.pbufs.push((pbuf, CONSTANT[..len].to_vec())),
                Err(NoBufs) => assert_eq!(POOL.descriptors_available(), 0),
            },
            Op::Slice(index, off, len) => {
                let (pbuf, model) = self.at(&index)?;
                let slice = pbuf.slice(off, len);
                let expected = model.get(off..off + len).map(<[u8]>::to_vec);
                self.take_slice(slice, expected);
            }
            Op::SplitOff(index, at) => {
                let (pbuf, model) = self.at(&index)?;
                match pbuf.split_off(at) {
                    Ok(None) => assert!(at >= model.len()),
                    Ok(Some(rest)) => {
                        let tail = model.split_off(at);
                        self.pbufs.push((rest, tail));
                    }
                    Err(NoBufs) => assert_eq!(POOL.descriptors_available(), 0),
                }
            }
            Op::Advance(index, n) => {
                let (pbuf, model) = self.at(&index)?;
                assert_eq!(pbuf.advance(n), n.min(model.len()));
                model.drain(..n.min(model.len()));
            }
            Op::Truncate(index, n) => {
                let (pbuf, model) = self.at(&index)?;
                pbuf.truncate(n);
                model.truncate(n);
            }
            Op::AddHeader(index, data) => {
                let (pbuf, model) = self.at(&index)?;
                let fits = pbuf.data_mut().is_some() && pbuf.headroom() >= data.len();
                let room = pbuf.add_header(data.len());
                assert_eq!(room.is_some(), fits);
                room?.copy_from_slice(&data);
                model.splice(..0, data);
            }
            Op::RemoveHeader(index, n) => {
                let (pbuf, model) = self.at(&index)?;
                let fits = n <= pbuf.data().len();
                assert_eq!(pbuf.remove_header(n), fits);
                if fits {
                    model.drain(..n);
                }
            }
            Op::Grow(index, data) => {
                let (pbuf, model) = self.at(&index)?;
                pbuf.grow(data.len())?.copy_from_slice(&data);
                model.extend(data);
            }
            Op::AppendCopy(index, data) => {
                let (pbuf, model) = self.at(&index)?;
                let n = pbuf.append_copy(&data);
                model.extend(&data[..n]);
            }
            Op::CopyFrom(index, data) => {
                let (pbuf, model) = self.at(&index)?;
                let n = pbuf.copy_from(&data);
                assert!(n == data.len().min(model.len()) || !pbuf.is_unique());
                model[..n].copy_from_slice(&data[..n]);
            }
            Op::Cat(index, tail) => {
                let (tail, bytes) = self.remove(&tail)?;
                match self.at(&index) {
                    Some((pbuf, model)) => {
                        pbuf.cat(tail);
                        model.extend(bytes);
                    }
                    None => self.pbufs.push((tail, bytes)),
                }
            }
            Op::Prepend(index, header) => {
                let (header, mut bytes) = self.remove(&header)?;
                match self.remove(&index) {
                    Some((pbuf, model)) => {
                        bytes.extend(model);
                        self.pbufs.push((pbuf.prepend(header), bytes));
                    }
                    None => self.pbufs.push((header, bytes)),
                }
            }
            Op::Drop(index) => drop(self.remove(&index)?),
            Op::Push(index) => {
                let (pbuf, bytes) = self.remove(&index)?;
                self.queue.0.push(pbuf);
                self.queue.1.extend(bytes);
            }
            Op::PushFront(index) => {
                let (pbuf, bytes) = self.remove(&index)?;
                self.queue.0.push_front(pbuf);
                self.queue.1.splice(..0, bytes);
            }
            Op::PushCompact(index, limit) => {
                let (pbuf, bytes) = self.remove(&index)?;
                let fits = bytes.len() <= limit && bytes.len() <= self.queue.0.tail_room();
                let copied = self.queue.0.push_compact(pbuf, limit) == Pushed::Copied;
                assert_eq!(copied, fits || bytes.is_empty());
                self.queue.1.extend(bytes);
            }
            Op::QueueSlice(off, len) => {
                let (queue, model) = &self.queue;
                let slice = queue.slice(off, len);
                // An empty queue has nothing to slice, not even nothing.
                let expected = model.get(off..off + len).filter(|_| !queue.is_empty());
                let expected = expected.map(<[u8]>::to_vec);
                self.take_slice(slice, expected);
            }
            Op::QueueTake(n) => {
                let (queue, model) = &mut self.queue;
                match queue.take_front(n) {
                    Ok(None) => assert!(n == 0 || model.is_empty()),
                    Ok(Some(front)) => {
                        let rest = model.split_off(n.min(model.len()));
                        let bytes = std::mem::replace(model, rest);
                        self.pbufs.push((front, bytes));
                    }
                    Err(NoBufs) => assert_eq!(POOL.descriptors_available(), 0),
                }
            }
            Op::QueueConsume(n) => {
                let (queue, model) = &mut self.queue;
                assert_eq!(queue.consume(n), n.min(model.len()));
                model.drain(..n.min(model.len()));
            }
            Op::QueueAppendCopy(data) => {
                let (queue, model) = &mut self.queue;
                let room = queue.tail_room();
                let n = queue.append_copy(&data);
                assert_eq!(n, room.min(data.len()));
                model.extend(&data[..n]);
            }
            Op::QueueAppend => {
                self.other.0.append(&mut self.queue.0);
                self.other.1.append(&mut self.queue.1);
                std::mem::swap(&mut self.queue, &mut self.other);
            }
            Op::QueueTakeAll => {
                let all = self.queue.0.take_all();
                let bytes = std::mem::take(&mut self.queue.1);
                assert_eq!(all.is_none(), bytes.is_empty());
                self.pbufs.push((all?, bytes));
            }
        }
        Some(())
    }

    /// A slice that was or was not made, and what it should be if the range is inside.
    fn take_slice(&mut self, slice: Result<Pbuf, NoBufs>, expected: Option<Vec<u8>>) {
        match (slice, expected) {
            (Ok(slice), Some(bytes)) => self.pbufs.push((slice, bytes)),
            (Ok(slice), None) => panic!("{slice:?} outside the packet"),
            (Err(NoBufs), None) => {}
            // A chain of parts: it got some descriptors, and gave them back.
            (Err(NoBufs), Some(bytes)) => {
                assert!(POOL.descriptors_available() < bytes.len().max(1));
            }
        }
    }

    fn check(&self) {
        let mut descriptors = 0;
        for (pbuf, model) in &self.pbufs {
            assert_eq!(&bytes(pbuf), model);
            assert_eq!(
                (pbuf.tot_len(), pbuf.is_empty()),
                (model.len(), model.is_empty())
            );
            assert_eq!(pbuf.clen(), pbuf.parts().count());
            descriptors += pbuf.clen();
        }
        for (queue, model) in [&self.queue, &self.other] {
            queue.assert_invariants();
            let mut out = vec![0; model.len() + 1];
            assert_eq!(queue.copy_to(0, &mut out), model.len());
            assert_eq!(&out[..model.len()], &model[..]);
            assert_eq!(
                (queue.len(), queue.is_empty()),
                (model.len(), model.is_empty())
            );
            descriptors += queue.parts();
        }
        // Every descriptor is somewhere, and nobody holds one that is free; that of a block stays
        // with it until the last view has gone.
        let (blocks, taken) = in_use(&POOL);
        assert!((descriptors..=descriptors + blocks).contains(&taken));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn pbufs_and_queues_are_vectors_of_bytes(ops in prop::collection::vec(op(), 1..80)) {
        assert_at_rest(&POOL);
        let mut world = World::default();
        for op in ops {
            let _ = world.apply(op);
            world.check();
        }
        drop(world);
        assert_at_rest(&POOL);
    }
}
