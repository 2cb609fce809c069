//! The board: the FreeRTOS simulator with the stack in its tcpip task, on the link that the host
//! side has made, and the application's main task.
use core::cell::Cell;
use core::net::Ipv4Addr;
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use critical_section::Mutex;
use gannet_core::{
    Config, Driver, Handler, HwAddr, Owner, Pool, Stack, Subnet, pbuf_pool, stack_storage,
};
use gannet_netconn::{Service, net};
use gannet_port_freertos::capture::{Options, capture};
use gannet_port_freertos::device::{FramePair, Setup};
use gannet_port_freertos::interrupt::{self, Line};
use gannet_port_freertos::{Event, Priority, host, spawn};
use signal_hook::consts::SIGTERM;

use crate::cable::LooseCable;
use crate::options::{Addressing, Network};

/// The board's hardware address; locally administered.
const HW: HwAddr = HwAddr([2, 0, 0, 0, 0, 2]);
/// Words of stack of a task; the simulator gives each a megabyte whatever this is.
pub const STACK_WORDS: usize = 512;
/// How long the main task may take to end when asked to.
const PATIENCE: Duration = Duration::from_secs(3);
/// The interrupt of the request to end.
const STOP_LINE: u8 = 1;

pbuf_pool! {
    /// Received frames.
    pub static RX: [1536; 1024] + refs 1024
}
pbuf_pool! {
    /// Data to send.
    pub static TX: [1536; 1024] + refs 2048
}
pbuf_pool! {
    /// Headers and control packets.
    pub static HEADERS: [128; 512]
}
stack_storage! {
    static STORAGE: {
        connections: 128, listeners: 16, half_open: 64, time_wait: 128, out_of_order: 256, in_flight: 2048,
        udp: 16, datagrams: 64, interfaces: 1, neighbors: 16, pending: 16, routes: 4,
        reassembly: 8, loopback: 256, raw: 4, packet: 2,
    }
}
net! {
    /// Where the tasks meet the tcpip thread.
    pub static NET: { connections: 160, datagrams: 128, waiters: 128, tx_pool: TX }
}

/// The pools with their names.
pub fn pools() -> [(&'static str, &'static Pool); 3] {
    [("rx", &RX), ("tx", &TX), ("headers", &HEADERS)]
}

/// An application on the raw API; made in the tcpip thread, before its first turn.
pub type Raw = fn(&mut Stack, Owner) -> Box<dyn Handler>;

/// What the main task gets.
#[derive(Debug)]
pub struct Board(());

static STOP: OnceLock<Event> = OnceLock::new();
static STOPPED: AtomicBool = AtomicBool::new(false);

impl Board {
    /// Tells the host's side that the board serves, and sleeps until it is asked to end.
    pub fn serve_until_stopped(&self) {
        crate::host::tell_ready();
        while !STOPPED.load(Ordering::Acquire) {
            if let Some(stop) = STOP.get() {
                stop.wait(None);
            }
        }
    }
}

/// Runs `main` on a board on the link in standard input, with `network`'s addresses.
///
/// # Errors
/// A sentence for the user.
pub(crate) fn run(
    network: Network,
    raw: Option<Raw>,
    main: fn(&Board) -> Result<(), String>,
) -> Result<(), String> {
    let subnet = network.subnet()?;
    let link = link_to_host()?;
    run_simulator(move || {
        listen_for_stop()?;
        let device = device_on(link)?;
        let (device, capture): (Box<dyn Driver>, _) = match &network.pcap {
            None => (Box::new(device), None),
            Some(path) => {
                let (device, capture) = capture(device, path, Options::default())
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                (Box::new(device), Some(capture))
            }
        };
        let device: Box<dyn Driver> = match network.flap {
            None => device,
            Some(every) => Box::new(LooseCable::new(
                device,
                Duration::from_secs(every.into()),
                gannet_port_freertos::now,
            )),
        };
        let addresses = match network.addressing {
            Addressing::Fixed => Some((subnet, network.gateway)),
            Addressing::Dynamic => None,
        };
        let device = Some((device, addresses));
        start_stack(device, network.seed, raw)?;
        let outcome = main(&Board(()));
        if let Some(capture) = capture {
            let skipped = capture.skipped();
            capture
                .finish()
                .map_err(|error| format!("the capture is not whole: {error}"))?;
            if skipped > 0 {
                host::masked(|| eprintln!("{skipped} frames are missing in the capture"));
            }
        }
        outcome
    })
}

/// The link in standard input, for a board that ends when the host's side does.
fn link_to_host() -> Result<OwnedFd, String> {
    let link = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| format!("no link to the host: {error}"))?;
    end_with_parent().map_err(|error| format!("signals can't be caught: {error}"))?;
    Ok(link)
}

fn device_on(link: OwnedFd) -> Result<FramePair, String> {
    FramePair::from_fd(link, Setup::new(HW, &RX))
        .map_err(|error| format!("the link doesn't work: {error}"))
}

/// Runs `main` on a board with the device on the link in standard input, but without a stack. It
/// runs at the priority of the tcpip task, and is handed an event that the device's interrupt
/// signals.
pub(crate) fn run_bare(network: &Network, main: Bare) -> Result<(), String> {
    let subnet = network.subnet()?;
    let link = link_to_host()?;
    run_simulator(move || {
        listen_for_stop()?;
        static FRAMES: OnceLock<Event> = OnceLock::new();
        let frames = FRAMES.get_or_init(|| Event::new().expect("memory for an event"));
        let mut device = device_on(link)?;
        spawn("bare", Priority::TCPIP, STACK_WORDS, move || {
            main(&mut device, subnet.addr(), HW, frames);
        })
        .map_err(|error| error.to_string())?;
        interrupt::on_interrupt(|| {
            if let Some(frames) = FRAMES.get() {
                frames.signal_from_isr();
            }
        });
        Board(()).serve_until_stopped();
        Ok(())
    })
}

/// A program that does without the stack: the device, the board's addresses, and the event that
/// its interrupt signals.
pub type Bare = fn(&mut dyn Driver, Ipv4Addr, HwAddr, &Event);

/// Runs `main` on a board without a device.
pub(crate) fn run_alone(seed: Option<u64>, main: fn() -> Result<(), String>) -> Result<(), String> {
    run_simulator(move || {
        start_stack(None, seed, None)?;
        main()
    })
}

/// Runs `main` as the simulator's main task.
#[cfg(not(feature = "stock-port"))]
fn run_simulator(main: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    gannet_port_freertos::run(main)
}

/// As above. The scheduler is never ended: the kernel's own port cancels the threads of the tasks
/// that are left, and the unwinding of their stacks aborts the process.
#[cfg(feature = "stock-port")]
fn run_simulator(main: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    gannet_port_freertos::run(move || {
        let outcome = main();
        host::masked(|| match outcome {
            Ok(()) => std::process::exit(0),
            Err(error) => {
                eprintln!("error: {error}");
                std::process::exit(1)
            }
        })
    })
}

/// A device; its address and network, and the default gateway.
type Device = (Box<dyn Driver>, Option<(Subnet, Ipv4Addr)>);

fn start_stack(device: Option<Device>, seed: Option<u64>, raw: Option<Raw>) -> Result<(), String> {
    NET.make_default();
    // What goes wrong in the task is told to this one.
    let outcome = Box::leak(Box::new((Mutex::new(Cell::new(None)), new_event()?)));
    let report = |result: Result<(), String>| {
        critical_section::with(|cs| outcome.0.borrow(cs).set(Some(result)));
        outcome.1.signal();
    };
    spawn("tcpip", Priority::TCPIP, STACK_WORDS, move || {
        let mut stack = match new_stack(device, seed) {
            Ok(stack) => stack,
            Err(error) => return report(Err(error)),
        };
        let mut service = Service::new(&NET, Owner(0));
        let mut raw = raw.map(|make| make(&mut stack, Owner(1)));
        report(Ok(()));
        let mut handlers: Vec<&mut dyn Handler> = vec![&mut service];
        if let Some(raw) = &mut raw {
            handlers.push(raw.as_mut());
        }
        NET.run(&mut stack, &mut handlers)
            .expect("an event to sleep on");
    })
    .map_err(|error| error.to_string())?;
    outcome.1.wait(None);
    critical_section::with(|cs| outcome.0.borrow(cs).take()).unwrap_or(Ok(()))?;
    interrupt::on_interrupt(|| NET.ring_from_isr());
    Ok(())
}

fn new_stack(device: Option<Device>, seed: Option<u64>) -> Result<Stack, String> {
    let storage = STORAGE
        .take(&TX, &HEADERS)
        .ok_or("there is one stack only")?;
    let mut seeded = seed.map(fastrand::Rng::with_seed);
    let mut entropy = Ok(());
    let mut stack = Stack::new(storage, Config::default(), &mut |bytes| match &mut seeded {
        Some(random) => random.fill(bytes),
        None => entropy = entropy.and(getrandom::fill(bytes)),
    });
    entropy.map_err(|error| format!("no random numbers: {error}"))?;
    let Some((device, addresses)) = device else {
        return Ok(stack);
    };
    let netif = stack
        .add_netif(Box::leak(device), None)
        .map_err(|error| format!("the board's device: {error}"))?;
    if let Some((subnet, gateway)) = addresses {
        stack
            .set_addr(netif, Some(subnet))
            .map_err(|error| format!("{} as the board's address: {error}", subnet.addr()))?;
        stack
            .set_default_gateway(Some(gateway))
            .map_err(|error| format!("{gateway} as the board's gateway: {error}"))?;
    }
    Ok(stack)
}

fn new_event() -> Result<Event, String> {
    Event::new().map_err(|error| error.to_string())
}

/// The request to end becomes an interrupt, and that an event.
fn listen_for_stop() -> Result<(), String> {
    if STOP.set(new_event()?).is_err() {
        return Err("there is one board only".into());
    }
    interrupt::install(stop_line(), || {
        STOPPED.store(true, Ordering::Release);
        if let Some(stop) = STOP.get() {
            stop.signal_from_isr();
        }
    });
    Ok(())
}

fn stop_line() -> Line {
    const { Line::new(STOP_LINE).expect("one of 32") }
}

/// SIGTERM, also sent by Linux when the parent process has died, ends the main task in order; and
/// if that takes too long, the process.
fn end_with_parent() -> io::Result<()> {
    let (mut reader, writer) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGTERM, writer)?;
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    thread::Builder::new().name("stop".into()).spawn(move || {
        host::block_signals();
        let mut byte = [0];
        // An end of the pipe is as good.
        let _ = io::Read::read(&mut reader, &mut byte);
        interrupt::raise(stop_line());
        thread::sleep(PATIENCE);
        eprintln!("the main task did not end in time");
        std::process::exit(1);
    })?;
    // It may have died before Linux was asked.
    let parent = std::env::var(crate::host::BOARD_VARIABLE)
        .ok()
        .and_then(|id| id.parse().ok());
    if parent != Some(std::os::unix::process::parent_id()) {
        return Err(io::Error::other("the host side has ended"));
    }
    Ok(())
}
