//! Packets from this host to itself: through a bounded queue, never on a wire.
use std::net::Ipv4Addr;
use std::time::Duration;

use gannet_core::tcp::State;
use gannet_core::{Config, Handler, Instant, Owner, Refused, Stack, Subnet, Tcp};
use gannet_core::{Error, Pbuf, TcpListener, TcpPcb};
use gannet_tests::lan::{Lan, STACK};
use gannet_tests::recorder::Recorder;
use gannet_tests::storage::{Pools, Sizes, leak_storage};

/// Both ends of a connection in one application: sends `total` bytes to itself.
#[derive(Debug)]
struct Both {
    client: Option<TcpPcb>,
    written: usize,
    total: usize,
    received: Vec<u8>,
    ended: bool,
}

impl Both {
    fn fill(&mut self, tcp: &mut Tcp<'_>) {
        let Some(client) = self.client else { return };
        while self.written < self.total {
            let n = (self.total - self.written).min(1000);
            let bytes: Vec<u8> = (self.written..self.written + n)
                .map(|i| (i / 7) as u8)
                .collect();
            let data = gannet_core::tcp::Data::Copy(&bytes);
            if tcp.write(client, data, gannet_core::tcp::More::No).is_err() {
                return;
            }
            self.written += n;
        }
        let _ = tcp.close(client);
        self.client = None;
    }
}

impl Handler for Both {
    fn accept(&mut self, _: &mut Tcp<'_>, _: TcpListener, _: TcpPcb) -> Result<(), Error> {
        Ok(())
    }

    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        self.client = Some(pcb);
        self.fill(tcp);
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        match data {
            Some(data) => {
                self.received.extend(data.parts().flatten());
                let _ = tcp.recved(pcb, data.tot_len());
            }
            None if Some(pcb) != self.client => {
                self.ended = true;
                let _ = tcp.close(pcb);
            }
            None => {}
        }
        Ok(())
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, _: TcpPcb, _: usize) {
        self.fill(tcp);
    }
}

fn transfer(stack: &mut Stack, pools: Pools, to: Ipv4Addr) {
    let mut now = Instant::from_millis(1);
    let mut app = Both {
        client: None,
        written: 0,
        total: 300_000,
        received: Vec::new(),
        ended: false,
    };
    gannet_tests::apps::listen(&mut stack.tcp(now), 7, 4);
    let mut tcp = stack.tcp(now);
    let pcb = tcp.new(Owner(0)).expect("a control block");
    tcp.connect(pcb, (to, 7).into()).expect("a route");
    let mut turns = 0;
    while !app.ended {
        turns += 1;
        assert!(turns < 100_000, "received {}", app.received.len());
        let next = stack.turn(now, &mut [&mut app]);
        now = next.expect("something to wait for").max(now);
    }
    assert_eq!(app.received.len(), 300_000);
    assert!(
        app.received
            .iter()
            .enumerate()
            .all(|(i, b)| *b == (i / 7) as u8)
    );
    assert!(
        now < Instant::from_millis(1000),
        "it takes no time: {now:?}"
    );
    assert_eq!(stack.tcp_stats().segments_retransmitted, 0);
    // TIME-WAIT passes.
    while let Some(next) = stack.turn(now, &mut [&mut app]) {
        now = next.max(now);
    }
    assert!(pools.at_rest(), "in use: {:?}", pools.in_use());
}

#[test]
fn a_host_talks_to_itself_by_any_of_its_addresses() {
    for to in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 9, 9, 9), STACK] {
        let mut lan = Lan::new();
        transfer(&mut lan.stack, lan.pools, to);
        assert_eq!(lan.sent(), [], "nothing on the wire");
    }
}

#[test]
fn loopback_needs_no_interface_and_little_room() {
    let pools = Pools::leak();
    let sizes = Sizes {
        netifs: 0,
        neighbors: 0,
        pending: 0,
        routes: 0,
        reassembly: 0,
        loopback: 2,
        ..Sizes::default()
    };
    let storage = leak_storage(sizes, pools);
    let mut stack = Stack::new(storage, Config::default(), &mut |bytes| bytes.fill(7));
    transfer(&mut stack, pools, Ipv4Addr::LOCALHOST);
}

#[test]
fn data_that_waits_to_be_read_does_not_hold_header_buffers() {
    let mut lan = Lan::new();
    let mut app = Recorder {
        hold_window: true,
        refusals: u32::MAX,
        ..Recorder::default()
    };
    gannet_tests::apps::listen(&mut lan.stack.tcp(lan.now), 7, 4);
    let mut tcp = lan.stack.tcp(lan.now);
    let pcb = tcp.new(Owner(0)).expect("a control block");
    tcp.connect(pcb, (STACK, 7).into()).expect("a route");
    let mut now = lan.now;
    for round in 0..200 {
        for _ in 0..4 {
            lan.stack.turn(now, &mut [&mut app]);
        }
        now += Duration::from_millis(50);
        let mut tcp = lan.stack.tcp(now);
        if tcp.state(pcb) == Ok(State::Established) {
            let _ = tcp.write(
                pcb,
                gannet_core::tcp::Data::Copy(&[1; 100]),
                gannet_core::tcp::More::No,
            );
        }
        assert!(lan.pools.in_use()[2] < 10, "round {round}");
    }
}

#[test]
fn addresses_that_no_host_can_have_are_refused() {
    let mut lan = Lan::new();
    let subnet = |addr: [u8; 4], prefix| Subnet::new(addr.into(), prefix);
    let bad = [
        subnet([127, 0, 0, 1], 8),
        subnet([0, 0, 0, 0], 0),
        subnet([0, 1, 2, 3], 8),
        subnet([224, 0, 0, 1], 4),
        subnet([240, 0, 0, 1], 4),
        subnet([255, 255, 255, 255], 32),
        subnet([10, 0, 0, 255], 24),
        subnet([10, 0, 0, 0], 24),
    ];
    for subnet in bad {
        assert_eq!(
            lan.stack.set_addr(lan.netif, subnet),
            Err(Error::Argument),
            "{subnet:?}"
        );
    }
    for good in [subnet([10, 0, 0, 0], 31), subnet([10, 0, 0, 0], 32), None] {
        assert_eq!(lan.stack.set_addr(lan.netif, good), Ok(()), "{good:?}");
    }
}
