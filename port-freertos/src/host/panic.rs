//! The panic hook: the one that was there, called with interrupts masked.
use std::boxed::Box;
use std::panic;

use super::masked;

pub(super) fn install() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| masked(|| previous(info))));
}
