//! The ring of waiting datagrams.
#![allow(unsafe_code, reason = "what `pbuf_pool!` expands to in its own crate")]
use core::net::Ipv4Addr;

use super::*;
use crate::pbuf_pool;

fn queue(capacity: usize) -> Queue {
    let slots: Vec<_> = (0..capacity).map(|_| DatagramSlot::new()).collect();
    Queue::new(slots.leak())
}

fn waiting(endpoint: u16, port: u16) -> Waiting {
    pbuf_pool! { static POOL: [32; 1] + refs 64 }
    let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    Waiting {
        endpoint,
        netif: NetifId(0),
        tos: 0,
        ttl: 1,
        from: addr,
        to: addr,
        data: Pbuf::from_static(&POOL, b"x").expect("a descriptor"),
    }
}

fn ports(queue: &mut Queue) -> Vec<u16> {
    core::iter::from_fn(|| queue.pop())
        .map(|waiting| waiting.from.port())
        .collect()
}

#[test]
fn first_in_first_out_around_the_end() {
    let mut queue = queue(3);
    for n in 0..10 {
        queue.push(waiting(0, n)).expect("room");
        queue.push(waiting(0, n + 100)).expect("room");
        assert_eq!(ports(&mut queue), [n, n + 100]);
    }
}

#[test]
fn a_full_queue_gives_back() {
    let mut queue = queue(2);
    queue.push(waiting(1, 1)).expect("room");
    queue.push(waiting(1, 2)).expect("room");
    let back = queue.push(waiting(1, 3)).expect_err("full");
    assert_eq!(back.from.port(), 3);
    assert_eq!(ports(&mut queue), [1, 2]);
}

#[test]
fn a_queue_without_slots_is_always_full() {
    let mut queue = queue(0);
    assert!(queue.push(waiting(1, 1)).is_err());
    assert!(queue.pop().is_none());
    queue.retain(|_| true);
}

#[test]
fn retain_keeps_the_order_and_frees_the_room() {
    let mut queue = queue(4);
    queue.push(waiting(9, 0)).expect("room");
    queue.push(waiting(9, 0)).expect("room");
    assert_eq!(ports(&mut queue).len(), 2);
    // Now the head is in the middle.
    for (endpoint, port) in [(1, 1), (2, 2), (1, 3), (2, 4)] {
        queue.push(waiting(endpoint, port)).expect("room");
    }
    queue.retain(|waiting| waiting.endpoint == 2);
    queue.push(waiting(3, 5)).expect("room");
    queue.push(waiting(3, 6)).expect("room");
    assert!(queue.is_full());
    assert_eq!(ports(&mut queue), [2, 4, 5, 6]);
}
