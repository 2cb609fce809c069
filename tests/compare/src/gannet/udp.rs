//! Datagrams and their echoes. The echo goes back in the buffer the datagram came in.
use gannet_core::udp::Datagram;
use gannet_core::{Handler, Instant, Owner, Pbuf, Pool, Stack, Udp, UdpPcb, pbuf_pool};

use super::{ADDRS, Client, PORT, Server, server_addr};

/// What is sent.
static CONTENT: [u8; 1472] = [0x5a; 1472];

pbuf_pool! {
    /// The client's buffers. The headers go in front of the data.
    static DATAGRAMS: [1536; 8]
}
/// Ethernet, IPv4 and UDP headers, and two bytes that have the data aligned.
const HEADROOM: usize = 44;

pub(super) struct Sender {
    len: usize,
    pool: &'static Pool,
    pcb: Option<UdpPcb>,
    to_send: u64,
    waiting: bool,
}

pub(super) struct Echoer;

pub(super) fn apps(len: usize) -> (Sender, Echoer) {
    let sender = Sender {
        len,
        pool: &DATAGRAMS,
        pcb: None,
        to_send: 0,
        waiting: false,
    };
    (sender, Echoer)
}

impl Sender {
    fn send(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb) {
        self.waiting = self.to_send > 0;
        if self.waiting {
            self.to_send -= 1;
            let mut data = Pbuf::alloc(self.pool, HEADROOM, self.len).expect("a buffer");
            data.copy_from(&CONTENT[..self.len]);
            udp.send_to(pcb, data, server_addr()).expect("sent");
        }
    }
}

impl Handler for Sender {
    fn udp_recv(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: Datagram) {
        assert_eq!(datagram.data.tot_len(), self.len);
        self.send(udp, pcb);
    }
}

impl Client for Sender {
    fn start(&mut self, stack: &mut Stack, now: Instant, units: u64) {
        self.to_send += units;
        let mut udp = stack.udp(now);
        let pcb = *self.pcb.get_or_insert_with(|| {
            let pcb = udp.new(Owner(0)).expect("a free endpoint");
            udp.bind(pcb, (ADDRS[0], PORT).into()).expect("a free port");
            pcb
        });
        self.send(&mut udp, pcb);
    }

    fn is_done(&self) -> bool {
        !self.waiting
    }
}

impl Handler for Echoer {
    fn udp_recv(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: Datagram) {
        udp.send_to(pcb, datagram.data, datagram.from)
            .expect("sent");
    }
}

impl Server for Echoer {
    fn listen(&mut self, stack: &mut Stack, now: Instant) {
        let mut udp = stack.udp(now);
        let pcb = udp.new(Owner(0)).expect("a free endpoint");
        udp.bind(pcb, (ADDRS[1], PORT).into()).expect("a free port");
    }
}
