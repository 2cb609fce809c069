//! Which reads are spared while frames come alone, and that none stays behind for it.
use std::os::unix::net::UnixDatagram;
use std::vec::Vec;

use gannet_core::{Driver, HwAddr, pbuf_pool};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Polled, Setup, TAKEN_TO_BE_LONE};

pbuf_pool! { static RX: [1536; 16] }

/// A device and the other end.
fn device() -> (Polled, UnixDatagram) {
    let (here, there) = UnixDatagram::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    let setup = Setup::new(HwAddr([2, 0, 0, 0, 0, 1]), &RX);
    (Polled::new(here.into(), setup).unwrap(), there)
}

fn send(peer: &UnixDatagram, frames: impl IntoIterator<Item = u8>) {
    for n in frames {
        peer.send(&[n; 60]).unwrap();
    }
}

/// What a stack would take in one turn: the frames' first bytes.
fn batch(device: &mut Polled) -> Vec<u8> {
    let frames = std::iter::from_fn(|| device.receive());
    frames.map(|frame| frame.data()[0]).collect()
}

/// What poll(2) says of it.
fn is_readable(device: &Polled) -> bool {
    let mut fds = [PollFd::new(device, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).unwrap() > 0
}

#[test]
fn frames_behind_one_that_was_taken_to_be_alone_are_reported_and_taken() {
    let (mut device, peer) = device();
    send(&peer, [1]);
    assert_eq!(batch(&mut device), [1]);
    send(&peer, 2..5);
    let mut taken = Vec::new();
    while is_readable(&device) {
        let batch = batch(&mut device);
        assert_eq!(batch.len(), 1, "no second read");
        taken.extend(batch);
    }
    assert_eq!(taken, [2, 3, 4]);
}

#[test]
fn now_and_then_a_batch_is_taken_to_its_end() {
    let (mut device, peer) = device();
    // The first is followed by a read that finds nothing, so many others are not.
    for n in 0..=TAKEN_TO_BE_LONE {
        send(&peer, [n]);
        assert_eq!(batch(&mut device), [n]);
    }
    send(&peer, 20..23);
    assert_eq!(batch(&mut device), [20, 21, 22]);
    // They no longer come alone.
    send(&peer, 30..32);
    assert_eq!(batch(&mut device), [30, 31]);
}

#[test]
fn a_turn_without_a_frame_changes_nothing() {
    let (mut device, peer) = device();
    assert_eq!(batch(&mut device), []);
    send(&peer, [1]);
    assert_eq!(batch(&mut device), [1]);
    assert_eq!(batch(&mut device), []);
    send(&peer, 2..4);
    assert_eq!(batch(&mut device), [2], "still taken to come alone");
    assert_eq!(batch(&mut device), [3]);
}
