//! A device that always has one more frame: the tcpip thread, above all other tasks, rests often
//! enough for them to run.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use gannet_core::{
    Capabilities, Checksums, Config, Driver, Handler, HwAddr, Medium, Owner, Pbuf, Stack,
    pbuf_pool, stack_storage,
};
use gannet_netconn::{Service, net};
use gannet_port_freertos::{Priority, delay, run, spawn};

gannet_port_freertos::host!();

pbuf_pool! { static RX: [128; 8] }
pbuf_pool! { static TX: [128; 8] }
pbuf_pool! { static HEADERS: [128; 8] }
stack_storage! {
    static STORAGE: {
        connections: 1, listeners: 1, half_open: 1, time_wait: 1, out_of_order: 1, in_flight: 1,
        udp: 1, datagrams: 1, interfaces: 1, neighbors: 1, pending: 1, routes: 1,
        reassembly: 1, loopback: 1,
    }
}
net! { static NET: { connections: 1, datagrams: 1, waiters: 1, tx_pool: TX } }

const HW: HwAddr = HwAddr([2, 0, 0, 0, 0, 2]);

static RECEIVED: AtomicU64 = AtomicU64::new(0);
/// Set when the test has failed, so that it ends.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

struct Endless;

impl Driver for Endless {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            medium: Medium::Ethernet(HW),
            mtu: 1_500,
            tx_checksums: Checksums::NONE,
            rx_checksums: Checksums::NONE,
            tso: 0,
        }
    }

    fn receive(&mut self) -> Option<Pbuf> {
        let mut frame = Pbuf::alloc(&RX, 0, 60).ok()?;
        frame.copy_from(&[0x55; 60]);
        RECEIVED.fetch_add(1, Relaxed);
        (!GIVEN_UP.load(Relaxed)).then_some(frame)
    }

    fn can_transmit(&mut self) -> bool {
        true
    }

    fn transmit(&mut self, _: Pbuf) -> Result<(), Pbuf> {
        Ok(())
    }
}

#[test]
fn tasks_below_the_tcpip_thread_run_in_a_flood() {
    // Outside the simulator: nothing in it may get to run.
    std::thread::spawn(|| {
        gannet_port_freertos::host::block_signals();
        std::thread::sleep(Duration::from_secs(60));
        GIVEN_UP.store(true, Relaxed);
    });
    run(|| {
        spawn("tcpip", Priority::TCPIP, 1_024, || {
            let storage = STORAGE.take(&TX, &HEADERS).expect("the first");
            let mut stack = Stack::new(storage, Config::default(), &mut |bytes| bytes.fill(7));
            stack
                .add_netif(Box::leak(Box::new(Endless)), None)
                .expect("room for one");
            let mut service = Service::new(&NET, Owner(0));
            let handlers: &mut [&mut dyn Handler] = &mut [&mut service];
            NET.run(&mut stack, handlers).expect("an event");
        })
        .expect("memory");
        for _ in 0..20 {
            let before = RECEIVED.load(Relaxed);
            delay(Duration::from_millis(1));
            // What it is for goes on.
            while RECEIVED.load(Relaxed) == before && !GIVEN_UP.load(Relaxed) {
                delay(Duration::from_millis(1));
            }
        }
        assert!(!GIVEN_UP.load(Relaxed), "starved for a minute");
    });
}
