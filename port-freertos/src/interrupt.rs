//! The simulator's interrupt lines: who is called, and how one is raised.
//!
//! Line 0 ([`Line::DEVICE`]) is raised by the Linux kernel itself when a device's file descriptor
//! (TAP, socket pair) becomes readable. All devices share it; their drivers are asked in turn
//! anyway. An interrupt is a signal sent to the *process*: it hits the thread of the running task or
//! stays pending while that one masks interrupts, so none is lost and no safety net is needed.
use core::ffi::c_uint;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::ffi;

const LINES: usize = 32;

/// An interrupt line, 0 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line(u8);

impl Line {
    /// Shared by all devices with a file descriptor.
    pub const DEVICE: Self = Self(0);

    /// Line `n`; `None` if there is none.
    pub const fn new(n: u8) -> Option<Self> {
        if n < 32 { Some(Self(n)) } else { None }
    }
}

/// Has `handler` called for each interrupt of a device (TAP, socket pair): ring the doorbell of the
/// tcpip thread there. As every handler it may call functions "from ISR" only. It is called once
/// in any case, for what arrived before.
///
/// ```
/// use gannet_port_freertos::{Event, interrupt, run};
/// # gannet_port_freertos::host!();
///
/// static DOORBELL: std::sync::OnceLock<Event> = std::sync::OnceLock::new();
///
/// # fn main() {
/// run(|| {
///     let doorbell = DOORBELL.get_or_init(|| Event::new().unwrap());
///     interrupt::on_interrupt(|| {
///         if let Some(doorbell) = DOORBELL.get() {
///             doorbell.signal_from_isr();
///         }
///     });
///     interrupt::raise(interrupt::Line::DEVICE); // a frame arrives
///     assert!(doorbell.wait(None));
/// });
/// # }
/// ```
pub fn on_interrupt(handler: fn()) {
    install(Line::DEVICE, handler);
    raise(Line::DEVICE);
}

/// Has `handler` called for each interrupt of `line`, until [`run`](crate::run) ends.
pub fn install(line: Line, handler: fn()) {
    HANDLERS[usize::from(line.0)].store(handler as usize, Ordering::Release);
    connect(line);
}

/// From now on the signals of interrupts are caught, with or without a handler for `line`.
pub(crate) fn connect(line: Line) {
    // SAFETY: the line exists, and `isr` is a handler.
    unsafe { ffi::vPortSimInstallIrq(line.0.into(), Some(isr)) };
}

/// Raises `line`, from any thread, at any time. Requests merge until the handler has run.
pub fn raise(line: Line) {
    // SAFETY: the line exists.
    unsafe { ffi::vPortSimRaiseIrq(line.0.into()) };
}

/// Removes all handlers: what they signal has gone with the scheduler.
pub(crate) fn remove_all() {
    for handler in &HANDLERS {
        handler.store(0, Ordering::Release);
    }
}

/// `fn()` as an address; 0: none.
static HANDLERS: [AtomicUsize; LINES] = [const { AtomicUsize::new(0) }; LINES];

extern "C" fn isr(line: c_uint) {
    let address = HANDLERS[line as usize % LINES].load(Ordering::Acquire);
    if address != 0 {
        // SAFETY: `install` is the only one to store anything but 0, and stores a `fn()`.
        let handler = unsafe { core::mem::transmute::<usize, fn()>(address) };
        handler();
    }
}
