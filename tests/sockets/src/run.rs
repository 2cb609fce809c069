//! Runs an input: a stack, the tcpip thread and the tasks; then all descriptors are closed, from
//! under the tasks that still sleep.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use gannet_core::packet::Filter;
use gannet_core::wire::ipv4::Protocol;
use gannet_core::{
    Capabilities, Checksums, Config, Error, Handler, IcmpReport, Medium, Owner, PacketPcb, Packets,
    Pbuf, Raw, RawPcb, Refused, Stack, Subnet, Tcp, TcpListener, TcpPcb, Udp, UdpPcb, pbuf_pool,
};
use gannet_netconn::{Service, net};
use gannet_sockets::bsd::{Fd, close};
use gannet_tests::arena::Arena;
use gannet_tests::storage::{Pools, Sizes, storage_in};
use gannet_tests::wire::{Wire, WireDriver};

use crate::calls::{COUNT, Call, FIRST};
use crate::port;

pbuf_pool! { static RX: [1536; 8] + refs 8 }
pbuf_pool! { static TX: [512; 40] + refs 120 }
pbuf_pool! { static HEADERS: [128; 40] + refs 16 }
net! {
    static NET: { connections: 12, datagrams: 6, waiters: 2, tx_pool: TX }
}
gannet_sockets::descriptors! { static FDS: 14 from 3 }

/// The tasks.
const TCPIP: usize = 1;
const APPS: std::ops::Range<usize> = 2..5;
/// Endpoints of UDP, of raw IP and of frames.
const UDP: usize = 4;
const RAW: usize = 2;
const PACKET: usize = 2;
/// Calls of an input.
const CALLS: usize = 200;
/// After this time the main task closes everything.
const PATIENCE: Duration = Duration::from_secs(600);
/// Everything is at rest so long after the last descriptor is closed.
const REST: Duration = Duration::from_secs(3_600);

/// What an input is.
#[derive(Debug)]
struct Input {
    setup: Setup,
    /// How tasks are scheduled: for each choice a byte.
    schedule: Vec<u8>,
    /// Which task makes which call.
    calls: Vec<(u8, Call)>,
}

impl Input {
    /// A third of the bytes is for the schedule; the rest is calls, as many as it is enough for.
    fn new(data: &[u8]) -> arbitrary::Result<Self> {
        let mut data = Unstructured::new(data);
        let setup = data.arbitrary()?;
        let schedule = data.bytes(data.len() / 3)?.to_vec();
        let mut calls = Vec::new();
        while !data.is_empty() && calls.len() < CALLS {
            calls.push(data.arbitrary()?);
        }
        Ok(Self {
            setup,
            schedule,
            calls,
        })
    }
}

/// How large things are.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Setup {
    connections: u8,
    listeners: u8,
    half_open: u8,
    window: u16,
    snd_buf: u16,
    /// Buffers of the application's pool that somebody else has.
    taken: u8,
}

/// The service, which looks at the invariants whenever it is woken.
struct Checked(Service);

impl Handler for Checked {
    fn wake(&mut self, stack: &mut Stack) {
        stack.check_invariants().expect("the invariants hold");
        self.0.wake(stack);
    }

    fn accept(
        &mut self,
        tcp: &mut Tcp<'_>,
        listener: TcpListener,
        pcb: TcpPcb,
    ) -> Result<(), Error> {
        self.0.accept(tcp, listener, pcb)
    }

    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        self.0.connected(tcp, pcb);
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        self.0.recv(tcp, pcb, data)
    }

    fn sent(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, len: usize) {
        self.0.sent(tcp, pcb, len);
    }

    fn err(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, error: Error) {
        self.0.err(tcp, pcb, error);
    }

    fn udp_recv(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: gannet_core::udp::Datagram) {
        self.0.udp_recv(udp, pcb, datagram);
    }

    fn udp_err(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, report: IcmpReport) {
        self.0.udp_err(udp, pcb, report);
    }

    fn raw_recv(&mut self, raw: &mut Raw<'_>, pcb: RawPcb, packet: gannet_core::raw::Packet) {
        self.0.raw_recv(raw, pcb, packet);
    }

    fn raw_err(&mut self, raw: &mut Raw<'_>, pcb: RawPcb, report: IcmpReport) {
        self.0.raw_err(raw, pcb, report);
    }

    fn packet_recv(
        &mut self,
        packets: &mut Packets<'_>,
        pcb: PacketPcb,
        frame: gannet_core::packet::Frame,
    ) {
        self.0.packet_recv(packets, pcb, frame);
    }
}

/// Runs the input that `data` is.
///
/// # Panics
/// Something that must hold does not.
pub fn sockets(data: &[u8]) {
    let Ok(input) = Input::new(data) else { return };
    // The statics are for one run at a time.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    port::begin(&input.schedule);
    NET.make_default();
    FDS.make_default();
    let setup = input.setup;
    port::spawn(TCPIP, move || tcpip(setup));
    let over = Arc::new(AtomicBool::new(false));
    let mut lists = [const { Vec::new() }; APPS.end - APPS.start];
    for (task, call) in input.calls {
        lists[usize::from(task) % APPS.len()].push(call);
    }
    for (task, calls) in APPS.zip(lists) {
        let over = Arc::clone(&over);
        port::spawn(task, move || {
            let calls = calls.iter().take_while(|_| !over.load(Ordering::Relaxed));
            calls.for_each(Call::make);
        });
    }
    if !port::join(APPS, PATIENCE) {
        over.store(true, Ordering::Relaxed);
        // A task may be about to open another.
        let closed = (0..5).any(|_| {
            close_all();
            port::join(APPS, PATIENCE)
        });
        assert!(closed, "a task sleeps in what was closed");
    }
    close_all();
    port::sleep(REST);
    assert_eq!(FDS.in_use(), 0, "descriptors in use");
    assert_eq!(NET.sleepers(), 0, "sleepers");
    assert_eq!(NET.connections(), 0, "connections in use");
    NET.stop();
    assert!(port::join(TCPIP..TCPIP + 1, REST), "the tcpip thread stops");
    let pools = pools();
    assert!(pools.at_rest(), "buffers in use: {:?}", pools.in_use());
}

/// Opens endpoints of UDP, raw IP and frames until there are none; how many there were.
fn free_endpoints(stack: &mut Stack) -> (usize, usize, usize) {
    let owner = Owner(0);
    let udp = (0..).take_while(|_| stack.udp_now().new(owner).is_ok());
    let udp = udp.count();
    let raw = (0..).take_while(|_| stack.raw_now().new(Protocol::ICMP, owner).is_ok());
    let raw = raw.count();
    let packet = (0..).take_while(|_| stack.packets_now().new(Filter::All, owner).is_ok());
    (udp, raw, packet.count())
}

fn close_all() {
    for fd in FIRST..FIRST + COUNT as Fd {
        let _ = close(fd);
    }
}

fn pools() -> Pools {
    Pools {
        rx: &RX,
        tx: &TX,
        header: &HEADERS,
    }
}

#[allow(unsafe_code, reason = "gives back what the stack was lent")]
#[allow(
    clippy::drop_non_drop,
    reason = "ends the stack's borrows, and says so"
)]
fn tcpip(setup: Setup) {
    let mut arena = Arena::default();
    let sizes = Sizes {
        connections: 2 + usize::from(setup.connections % 12),
        listeners: 1 + usize::from(setup.listeners % 4),
        half_open: 1 + usize::from(setup.half_open % 6),
        udp: UDP,
        datagrams: 6,
        groups: 2,
        raw: RAW,
        packet: PACKET,
        ..Sizes::default()
    };
    let mut config = Config::default();
    config.tcp.rcv_wnd = 16 + u32::from(setup.window);
    config.tcp.rcv_wnd_max = config.tcp.rcv_wnd;
    config.tcp.snd_buf = 16 + u32::from(setup.snd_buf);
    let mut random = fastrand::Rng::with_seed(1);
    let storage = storage_in(&mut arena, sizes, pools());
    let mut stack = Stack::new(storage, config, &mut |bytes| random.fill(bytes));
    let capabilities = Capabilities {
        medium: Medium::Ip,
        mtu: 1500,
        tx_checksums: Checksums::NONE,
        rx_checksums: Checksums::NONE,
        tso: 0,
    };
    // What leaves is never answered.
    let driver = arena.one(WireDriver::new(Wire::default(), &RX, capabilities));
    let subnet = Subnet::new([10, 0, 0, 1].into(), 24).expect("a valid prefix");
    stack
        .add_netif(driver, Some(subnet))
        .expect("room for an interface");
    let hoard: Vec<_> = (0..setup.taken % 41)
        .filter_map(|_| Pbuf::alloc(&TX, 0, 1).ok())
        .collect();
    let mut service = Checked(Service::new(&NET, Owner(0)));
    NET.run(&mut stack, &mut [&mut service])
        .expect("an event to sleep on");
    stack.check_invariants().expect("the invariants hold");
    let census = stack.tcp_census();
    assert_eq!(
        census.connections + census.half_open + census.time_wait,
        0,
        "{census:?}"
    );
    assert_eq!(free_endpoints(&mut stack), (UDP, RAW, PACKET));
    drop((stack, hoard));
    // SAFETY: the stack is dropped, and with it all that refers to the storage and the driver.
    unsafe { arena.release() };
}
