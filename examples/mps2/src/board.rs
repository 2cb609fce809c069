//! The board: memory of the stack, the Ethernet controller and its interrupt, the tcpip task.
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::Ipv4Addr;

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;
use gannet_core::{
    Config, Driver, Handler, HwAddr, Owner, Pool, Stack, Subnet, pbuf_pool, stack_storage,
};
use gannet_netconn::{Service, net};
use gannet_port_freertos::device::lan9118::{self, Lan9118, Mapped, Wiring};
use gannet_port_freertos::device::{DeviceCounters, Setup};
use gannet_port_freertos::{Delay, Priority, Task, spawn};

use crate::raw::Bulk;
use crate::{control, random, services};

/// Where the LAN9118 is on the MPS2 (ARM DAI 0385, memory map).
const LAN9118: usize = 0x4020_0000;
/// Its interrupt.
const ETHERNET: Line = Line(13);
/// Of 0 to 7; 5 is the most urgent that may call the kernel (build.rs).
const ETHERNET_PRIORITY: u8 = 6;
/// Bits of a priority the processor implements, in the upper end of a byte.
const PRIORITY_BITS: u8 = 3;

/// The board's hardware address; locally administered.
const HW: HwAddr = HwAddr([2, 0, 0, 0, 0, 2]);
/// Its address and network.
pub(crate) const SUBNET: Subnet = match Subnet::new(Ipv4Addr::new(10, 0, 0, 2), 24) {
    Some(subnet) => subnet,
    None => panic!("24 bits are a prefix"),
};

/// Connections of TCP.
pub(crate) const CONNECTIONS: usize = 24;

pbuf_pool! {
    /// Received frames.
    pub(crate) static RX: [1536; 96] + refs 96
}
pbuf_pool! {
    /// Data to send.
    pub(crate) static TX: [1536; 96] + refs 192
}
pbuf_pool! {
    /// Headers and control packets.
    pub(crate) static HEADERS: [128; 96]
}
stack_storage! {
    static STORAGE: {
        connections: CONNECTIONS, listeners: 4, half_open: 16, time_wait: 32, out_of_order: 32,
        in_flight: 192, udp: 4, datagrams: 32, interfaces: 1, neighbors: 8, pending: 8, routes: 2,
        reassembly: 2, loopback: 8,
    }
}
net! {
    /// Where the tasks meet the tcpip task.
    pub(crate) static NET: { connections: 24, datagrams: 32, waiters: 16, tx_pool: TX }
}

/// The pools with their names.
pub(crate) fn pools() -> [(&'static str, &'static Pool); 3] {
    [("rx", &RX), ("tx", &TX), ("headers", &HEADERS)]
}

/// What the tasks can look at.
#[derive(Clone)]
pub(crate) struct Board {
    /// Of the Ethernet controller.
    pub(crate) device: Arc<DeviceCounters>,
    pub(crate) tcpip: Task,
}

/// Makes the tcpip task, which makes the others.
pub(crate) fn start() {
    NET.make_default();
    spawn("tcpip", Priority::TCPIP, 1_536, tcpip).expect("memory for the task");
}

fn tcpip() {
    // SAFETY: the LAN9118 is there; this program runs on no other board.
    let registers = unsafe { Mapped::new(LAN9118) };
    let setup = Setup::new(HW, &RX);
    let device = Lan9118::new(registers, setup, Wiring::ActiveHigh, &mut Delay)
        .expect("an Ethernet controller");
    let board = Board {
        device: device.counters(),
        tcpip: Task::current(),
    };
    let storage = STORAGE.take(&TX, &HEADERS).expect("taken here only");
    // On the heap: both live as long as the board does.
    let stack = Box::leak(Box::new(Stack::new(storage, config(), &mut random::fill)));
    let driver: &'static mut dyn Driver = Box::leak(Box::new(device));
    stack
        .add_netif(driver, Some(SUBNET))
        .expect("a free interface");
    let mut service = Service::new(&NET, Owner(0));
    let mut bulk = Bulk::start(stack, Owner(1)).expect("free ports");
    listen_to_interrupt();
    services::start(&board);
    control::start(board);
    let mut handlers: [&mut dyn Handler; 2] = [&mut service, &mut bulk];
    NET.run(stack, &mut handlers).expect("an event to sleep on");
}

fn config() -> Config {
    let mut config = Config::default();
    // A quarter of the receive pool for one connection, and as much to send.
    config.tcp.rcv_wnd = 32 * 1024;
    config.tcp.rcv_wnd_max = 32 * 1024;
    config.tcp.snd_buf = 32 * 1024;
    config
}

#[derive(Clone, Copy)]
struct Line(u16);

// SAFETY: the numbers are the processor's lines; the only one made is the Ethernet controller's.
unsafe impl InterruptNumber for Line {
    fn number(self) -> u16 {
        self.0
    }
}

fn listen_to_interrupt() {
    let mut peripherals = critical_section::with(|_| cortex_m::Peripherals::take())
        .expect("nobody else takes the processor's peripherals");
    // SAFETY: the priority permits kernel calls and hence critical sections, and the handler below
    // is ready.
    unsafe {
        peripherals
            .NVIC
            .set_priority(ETHERNET, ETHERNET_PRIORITY << (8 - PRIORITY_BITS));
        NVIC::unmask(ETHERNET);
    }
}

#[exception]
unsafe fn DefaultHandler(line: i16) {
    if line != ETHERNET.0 as i16 {
        panic!("interrupt {line}");
    }
    // SAFETY: as in `tcpip`.
    lan9118::mask(&mut unsafe { Mapped::new(LAN9118) });
    NET.ring_from_isr();
}
