//! A stack on an Ethernet where the test is everybody else: frames in, frames out.
use std::net::Ipv4Addr;
use std::time::Duration;

use gannet_core::wire::arp::{Operation, Packet as Arp};
use gannet_core::wire::ethernet::EtherType;
use gannet_core::{
    Capabilities, Checksums, Config, Handler, HwAddr, Instant, Medium, NetifId, Stack, Subnet,
};

use crate::frames::{Packet, Sent, arp_bytes, frame};
use crate::storage::{Pools, Sizes, leak_storage};
use crate::wire::{Wire, WireDriver};

/// The stack's address, in 10.0.0.0/24.
pub const STACK: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The stack's hardware address.
pub const STACK_HW: HwAddr = HwAddr([2, 0, 0, 0, 0, 2]);
/// The address of the neighbour the test usually is.
pub const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Its hardware address.
pub const PEER_HW: HwAddr = HwAddr([2, 0, 0, 0, 0, 1]);

/// An application without any interest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle;

impl Handler for Idle {}

/// See the module.
#[derive(Debug)]
pub struct Lan {
    /// The stack under test.
    pub stack: Stack,
    /// Its pools.
    pub pools: Pools,
    /// Its interface.
    pub netif: NetifId,
    /// The Ethernet.
    pub wire: Wire,
    /// Virtual time.
    pub now: Instant,
    /// When the stack wants its next turn.
    pub deadline: Option<Instant>,
}

/// An Ethernet device without checksum offload.
pub fn capabilities() -> Capabilities {
    Capabilities {
        medium: Medium::Ethernet(STACK_HW),
        mtu: 1500,
        tx_checksums: Checksums::NONE,
        rx_checksums: Checksums::NONE,
        tso: 0,
    }
}

impl Lan {
    /// A stack with defaults; its announcement has been taken off the wire.
    pub fn new() -> Self {
        Self::with(Config::default(), Sizes::default(), capabilities())
    }

    /// A stack with this and that.
    pub fn with(config: Config, sizes: Sizes, capabilities: Capabilities) -> Self {
        let pools = Pools::leak();
        let wire = Wire::default();
        let mut seed = fastrand::Rng::with_seed(11);
        let storage = leak_storage(sizes, pools);
        let mut stack = Stack::new(storage, config, &mut |bytes| seed.fill(bytes));
        let driver = WireDriver::with(wire.clone(), pools.rx, capabilities);
        let subnet = Subnet::new(STACK, 24).expect("a valid prefix");
        let netif = stack
            .add_netif(driver, Some(subnet))
            .expect("room for an interface");
        let mut lan = Self {
            stack,
            pools,
            netif,
            wire,
            now: Instant::from_millis(1_000_000),
            deadline: None,
        };
        lan.turn();
        lan.sent();
        lan
    }

    /// As [`Lan::new`], and stack and peer know each other's hardware address.
    pub fn acquainted() -> Self {
        let mut lan = Self::new();
        lan.introduce();
        lan
    }

    /// Makes the peer known to the stack, by asking for it.
    pub fn introduce(&mut self) {
        self.put_arp(STACK_HW, request(PEER, PEER_HW, STACK));
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "the answer: {sent:?}");
    }

    /// Runs turns until nothing more happens at this moment.
    pub fn turn(&mut self) {
        for _ in 0..1000 {
            self.deadline = self.stack.turn(self.now, &mut [&mut Idle]);
            let again = self.wire.waiting() > 0;
            if !again && self.deadline.is_none_or(|deadline| deadline > self.now) {
                return;
            }
        }
        panic!("the stack always wants another turn");
    }

    /// Lets time pass; turns run at every deadline on the way.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        self.turn();
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= until) {
            self.now = deadline;
            self.turn();
        }
        self.now = until;
        self.turn();
    }

    /// Puts a frame on the wire and lets the stack take it.
    pub fn put(&mut self, frame: Vec<u8>) {
        self.wire.put(frame);
        self.turn();
    }

    /// The peer sends an ARP packet.
    pub fn put_arp(&mut self, dst: HwAddr, arp: Arp) {
        self.put(frame(dst, arp.sender_hw, EtherType::ARP, &arp_bytes(&arp)));
    }

    /// The peer sends an IP packet to the stack.
    pub fn put_ip(&mut self, packet: &Packet) {
        self.put_bytes(&packet.bytes());
    }

    /// The peer sends what may be an IP packet to the stack.
    pub fn put_bytes(&mut self, packet: &[u8]) {
        self.put(frame(STACK_HW, PEER_HW, EtherType::IPV4, packet));
    }

    /// Everything the stack has sent since the last look.
    #[track_caller]
    pub fn sent(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(bytes) = self.wire.take() {
            sent.push(Sent::parse(&bytes, STACK_HW));
        }
        sent
    }

    /// The one frame the stack has sent, an IP packet.
    #[track_caller]
    pub fn sent_packet(&mut self) -> Packet {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "one packet expected: {sent:?}");
        sent.remove(0).ip()
    }

    /// All buffers are back, and the stack waits for nothing.
    #[track_caller]
    pub fn assert_at_rest(&mut self) {
        self.turn();
        let in_use = self.pools.in_use();
        assert!(self.pools.at_rest(), "buffers in use: {in_use:?}");
        assert_eq!(self.deadline, None, "an idle host has no deadline");
    }
}

impl Default for Lan {
    fn default() -> Self {
        Self::new()
    }
}

/// "Who has `target`? Tell `sender` at `hw`."
pub fn request(sender: Ipv4Addr, hw: HwAddr, target: Ipv4Addr) -> Arp {
    Arp {
        operation: Operation::Request,
        sender_hw: hw,
        sender_ip: sender,
        target_hw: HwAddr([0; 6]),
        target_ip: target,
    }
}

/// "`sender` is at `hw`", to the stack.
pub fn reply(sender: Ipv4Addr, hw: HwAddr) -> Arp {
    Arp {
        operation: Operation::Reply,
        sender_hw: hw,
        sender_ip: sender,
        target_hw: STACK_HW,
        target_ip: STACK,
    }
}
