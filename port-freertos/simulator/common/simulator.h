/*
 * The simulated interrupt controller and what else a simulator port offers to Rust (src/ffi.rs):
 * implemented by port/port.c, and by stock/stock.c on top of the kernel's own POSIX port.
 */
#ifndef GANNET_SIMULATOR_H
#define GANNET_SIMULATOR_H

#include <stdint.h>

/* Interrupt lines 0 to 31. Line 0 is raised by the Linux kernel itself: SIGIO, for file
 * descriptors with O_ASYNC owned by this process. */
#define GANNET_SIM_LINES 32

/* An interrupt handler; runs in signal context with all simulated interrupts masked. */
typedef void (*GannetSimIsr_t)(unsigned int line);

/* Sets the handler of a line (NULL: none). Any time, any thread. */
extern void vPortSimInstallIrq(unsigned int line, GannetSimIsr_t isr);
/* Requests the interrupt of a line. From any thread, any time; requests merge. */
extern void vPortSimRaiseIrq(unsigned int line);
/* In a handler: says that a FromISR function has woken a task (pdTRUE). */
extern void vPortSimYieldFromIsr(int woken);
/* A thread of the host program, perhaps started by a task: may run on any CPU. */
extern void vPortSimLeaveCpu(void);
/* Whether the calling thread is a FreeRTOS task's (or an interrupt on it). */
extern int xPortSimOnTask(void);
/* Whether the calling thread is inside an interrupt handler. */
extern int xPortSimInIsr(void);
/* Microseconds since the scheduler of this process first started; never goes back. */
extern uint64_t ullPortSimMicros(void);
/* When, on that clock, tick 0 of the present run was. */
extern uint64_t ullPortSimTickZeroMicros(void);

#endif
