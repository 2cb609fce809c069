//! A Linux of one's own: a network namespace with one TAP interface, and a thread that lives in it.
//! Sockets made there work from any thread.
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::thread::JoinHandle;

use gannet_core::HwAddr;
use gannet_core::tcp::CongestionControl;
use gannet_port_freertos::device::Tap;
use gannet_port_freertos::device::namespace::{self, Unavailable};

/// Length of the network's prefix.
pub(crate) const PREFIX: u8 = 24;

/// The network of all stations.
pub(crate) const NETWORK: [u8; 3] = [10, 77, 0];

/// The address of station `number`.
pub fn address(number: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, number)
}

/// Its hardware address; locally administered.
pub(crate) fn hardware(number: u8) -> HwAddr {
    HwAddr([2, 0, 0, 0, 77, number])
}

/// CUBIC if this kernel has it, else NewReno, and a line that says so: for both sides.
pub fn cubic_or_reno() -> CongestionControl {
    let available = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    if available.is_ok_and(|names| names.split_whitespace().any(|name| name == "cubic")) {
        return CongestionControl::Cubic;
    }
    println!("this kernel has no CUBIC: Reno on both sides");
    CongestionControl::NewReno
}

type Job = Box<dyn FnOnce() + Send>;

/// What the Linux at the other end of a cable does for this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offloads {
    /// Nothing: frames of at most the MTU, with checksums.
    None,
    /// Checksums and large TCP segments: each frame has a `struct virtio_net_hdr` in front.
    All,
}

/// A Linux with one interface.
#[derive(Debug)]
pub struct Linux {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    address: Ipv4Addr,
}

impl Linux {
    /// A Linux with the address [`address`]`(number)`, and its cable.
    ///
    /// # Errors
    /// One sentence with the permission that is missing.
    pub fn new(number: u8) -> Result<(Self, OwnedFd), String> {
        Self::with_offloads(number, Offloads::None)
    }

    /// As [`Linux::new`], with such a cable.
    ///
    /// # Errors
    /// One sentence with the permission that is missing.
    pub fn with_offloads(number: u8, offloads: Offloads) -> Result<(Self, OwnedFd), String> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (ready, made) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let cable = make(number, offloads);
            let failed = cable.is_err();
            // The other side waits for it.
            let _ = ready.send(cable);
            if !failed {
                inbox.iter().for_each(|job| job());
            }
        });
        let cable = made
            .recv()
            .map_err(|_| String::from("the namespace's thread has panicked"))??;
        let linux = Self {
            jobs: Some(jobs),
            thread: Some(thread),
            address: address(number),
        };
        // What earlier tests found out about the path does not matter here.
        linux.sysctl("ipv4/tcp_no_metrics_save", "1")?;
        Ok((linux, cable))
    }

    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Runs `f` in the namespace.
    ///
    /// # Panics
    /// `f` panicked.
    pub fn run<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        let job = Box::new(move || {
            // Nobody waits any more if this side has panicked.
            let _ = done.send(f());
        });
        let jobs = self.jobs.as_ref().expect("there until it is dropped");
        jobs.send(job).expect("the namespace's thread lives");
        result.recv().expect("what ran in the namespace returned")
    }

    /// Sets `/proc/sys/net/{name}` of this namespace.
    ///
    /// # Errors
    /// One sentence.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<(), String> {
        let (path, value) = (format!("/proc/sys/net/{name}"), value.to_owned());
        self.run(move || {
            fs::write(&path, &value).map_err(|error| format!("{path} can't be set: {error}"))
        })
    }

    /// The counter `name` of `/proc/net/netstat` and `/proc/net/snmp`.
    pub fn counter(&self, name: &str) -> Option<u64> {
        let name = name.to_owned();
        self.run(move || {
            // Of the thread, not of the process: they are in different namespaces.
            let text = ["netstat", "snmp"]
                .map(|file| fs::read_to_string(format!("/proc/thread-self/net/{file}")))
                .into_iter()
                .collect::<io::Result<String>>()
                .ok()?;
            let lines: Vec<_> = text.lines().collect();
            lines.chunks(2).find_map(|pair| {
                let [names, values] = pair else { return None };
                let at = names.split(' ').position(|word| word == name)?;
                values.split(' ').nth(at)?.parse().ok()
            })
        })
    }
}

impl Drop for Linux {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported.
            let _ = thread.join();
        }
    }
}

fn make(number: u8, offloads: Offloads) -> Result<OwnedFd, String> {
    let text = |error: Unavailable| error.to_string();
    namespace::enter().map_err(text)?;
    namespace::loopback_up().map_err(text)?;
    let tap = match offloads {
        Offloads::None => Tap::attach(""),
        Offloads::All => Tap::attach_offloading(""),
    };
    let (fd, name) =
        tap.map_err(|error| format!("a TAP device can't be made in the namespace: {error}"))?;
    let hw = Some(hardware(number));
    namespace::configure(&name, hw, address(number), PREFIX).map_err(text)?;
    Ok(fd)
}
