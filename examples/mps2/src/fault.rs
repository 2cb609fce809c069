//! What must not happen: said over semihosting, and the end of the program.
use core::ffi::{CStr, c_char, c_void};
use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::{debug, hprintln};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    fail(format_args!("{info}"))
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    fail(format_args!("hard fault: {frame:?}"))
}

/// Called by the kernel (configCHECK_FOR_STACK_OVERFLOW).
#[unsafe(no_mangle)]
extern "C" fn vApplicationStackOverflowHook(_task: *mut c_void, name: *const c_char) {
    // SAFETY: the kernel passes the task's name.
    let name = unsafe { CStr::from_ptr(name) };
    fail(format_args!("the stack of task {name:?} is too small"))
}

/// Called by the kernel when no task runs.
#[unsafe(no_mangle)]
extern "C" fn vApplicationIdleHook() {
    cortex_m::asm::wfi();
}

fn fail(what: core::fmt::Arguments<'_>) -> ! {
    hprintln!("{}", what);
    loop {
        debug::exit(debug::EXIT_FAILURE);
    }
}
