//! Declarations of the kernel functions used here: what freertos-next lacks, and, because its
//! declarations have 32-bit types that are wrong for the kernel's own POSIX port, the rest too.
#![allow(non_snake_case, reason = "the kernel's names")]

use core::ffi::{c_char, c_void};

// The kernel's own POSIX port has `long` for all three; every other port used here 32 bits.
#[cfg(not(feature = "stock-port"))]
mod types {
    pub(crate) type Base = i32;
    pub(crate) type UBase = u32;
    pub(crate) type Tick = u32;
}
#[cfg(feature = "stock-port")]
mod types {
    pub(crate) type Base = i64;
    pub(crate) type UBase = u64;
    pub(crate) type Tick = u64;
}
pub(crate) use types::{Base, Tick, UBase};

/// `configSTACK_DEPTH_TYPE` of the simulator.
#[cfg(unix)]
pub(crate) type StackDepth = u16;
/// `configSTACK_DEPTH_TYPE` where nothing else is configured: `StackType_t`.
#[cfg(not(unix))]
pub(crate) type StackDepth = u32;

pub(crate) type Handle = *mut c_void;
/// With "-unwind", because the stock port deletes a task by unwinding its stack.
pub(crate) type TaskFunction = extern "C-unwind" fn(*mut c_void);

/// `portMAX_DELAY`: for ever.
pub(crate) const MAX_DELAY: Tick = Tick::MAX;
/// `configINITIAL_TICK_COUNT` of the simulator (simulator/config/FreeRTOSConfig.h).
#[cfg(unix)]
pub(crate) const INITIAL_TICKS: u64 = 0xffff_ffff - 300;
/// Firmware starts at 0; if not, its time just starts later.
#[cfg(not(unix))]
pub(crate) const INITIAL_TICKS: u64 = 0;
/// `pdTRUE`, `pdPASS`.
pub(crate) const TRUE: Base = 1;
/// `queueQUEUE_TYPE_BINARY_SEMAPHORE`.
pub(crate) const BINARY_SEMAPHORE: u8 = 3;

/// `TimeOut_t`: the tick count in full.
#[repr(C)]
#[derive(Default)]
pub(crate) struct TimeOut {
    pub(crate) overflows: Base,
    pub(crate) ticks: Tick,
}

unsafe extern "C-unwind" {
    pub(crate) fn vTaskDelete(task: Handle);
}

unsafe extern "C" {
    pub(crate) fn vTaskStartScheduler();
    pub(crate) fn xTaskCreate(
        entry: TaskFunction,
        name: *const c_char,
        depth: StackDepth,
        parameter: *mut c_void,
        priority: UBase,
        created: *mut Handle,
    ) -> Base;
    pub(crate) fn vTaskDelay(ticks: Tick);
    pub(crate) fn xTaskAbortDelay(task: Handle) -> Base;
    pub(crate) fn vTaskPrioritySet(task: Handle, priority: UBase);
    pub(crate) fn uxTaskPriorityGet(task: Handle) -> UBase;
    pub(crate) fn xTaskGetCurrentTaskHandle() -> Handle;
    #[cfg(not(unix))]
    pub(crate) fn uxTaskGetStackHighWaterMark(task: Handle) -> UBase;
    pub(crate) fn vTaskSetTimeOutState(now: *mut TimeOut);

    pub(crate) fn xQueueGenericCreate(length: UBase, item_size: UBase, kind: u8) -> Handle;
    pub(crate) fn xQueueGenericSend(
        queue: Handle,
        item: *const c_void,
        wait: Tick,
        position: Base,
    ) -> Base;
    pub(crate) fn xQueueGiveFromISR(queue: Handle, woken: *mut Base) -> Base;
    pub(crate) fn xQueueSemaphoreTake(queue: Handle, wait: Tick) -> Base;
    pub(crate) fn vQueueDelete(queue: Handle);

    pub(crate) fn pvPortMalloc(size: usize) -> *mut c_void;
    pub(crate) fn vPortFree(piece: *mut c_void);
    pub(crate) safe fn xPortGetFreeHeapSize() -> usize;
    pub(crate) safe fn xPortGetMinimumEverFreeHeapSize() -> usize;

    // shim.c of freertos-next: macros of the kernel as functions.
    pub(crate) safe fn freertos_rs_get_portTICK_PERIOD_MS() -> Tick;
    #[cfg(not(unix))]
    pub(crate) fn freertos_rs_isr_yield(woken: Base);
    #[cfg(not(unix))]
    pub(crate) safe fn freertos_rs_is_in_isr() -> Base;
}

/// Whether the caller is an interrupt handler.
#[cfg(unix)]
pub(crate) fn in_interrupt() -> bool {
    xPortSimInIsr() != 0
}

/// As above.
#[cfg(not(unix))]
pub(crate) fn in_interrupt() -> bool {
    freertos_rs_is_in_isr() == TRUE
}

#[cfg(unix)]
pub(crate) use self::simulator::*;

/// simulator/common/simulator.h, and what only a simulator needs of the kernel.
#[cfg(unix)]
mod simulator {
    use core::ffi::{c_int, c_uint, c_void};

    #[cfg(feature = "stock-port")]
    use super::Base;
    use super::{Handle, UBase};

    unsafe extern "C-unwind" {
        // Deletes the idle task, which on the stock port unwinds that task's stack.
        pub(crate) fn vTaskEndScheduler();
    }

    unsafe extern "C" {
        // The kernel's own statics, for another start in the same process.
        pub(crate) fn vTaskResetState();
        pub(crate) fn vTimerResetState();
        pub(crate) fn vPortHeapResetState();

        pub(crate) fn vPortEnterCritical();
        pub(crate) fn vPortExitCritical();
        #[cfg(feature = "stock-port")]
        pub(crate) fn vTaskSuspendAll();
        #[cfg(feature = "stock-port")]
        pub(crate) fn xTaskResumeAll() -> Base;
        pub(crate) fn pvTaskGetThreadLocalStoragePointer(task: Handle, index: UBase)
        -> *mut c_void;

        pub(crate) fn vPortSimInstallIrq(line: c_uint, isr: Option<extern "C" fn(c_uint)>);
        pub(crate) fn vPortSimRaiseIrq(line: c_uint);
        pub(crate) fn vPortSimYieldFromIsr(woken: c_int);
        pub(crate) safe fn vPortSimLeaveCpu();
        pub(crate) safe fn xPortSimOnTask() -> c_int;
        pub(crate) safe fn xPortSimInIsr() -> c_int;
        #[cfg(not(feature = "stock-port"))]
        pub(crate) safe fn ullPortSimMicros() -> u64;
        #[cfg(not(feature = "stock-port"))]
        pub(crate) safe fn ullPortSimTickZeroMicros() -> u64;

        /// simulator/common/hooks.c.
        pub(crate) static ulGannetSwitches: core::sync::atomic::AtomicU32;
    }

    /// `GANNET_TLS_SWITCHES` of simulator/config/gannet_trace.h.
    pub(crate) const TLS_SWITCHES: UBase = 2;
}
