/*
 * Counts context switches: in all, and per task in one of the task's storage pointers. The macros
 * are expanded in tasks.c, where pxCurrentTCB is visible, with interrupts masked; the kernel also
 * says "switched out, switched in" when it selects the same task again, which is not counted.
 */
#ifndef GANNET_TRACE_H
#define GANNET_TRACE_H

#include <stdint.h>

/* The thread local storage pointer of a task that counts how often it was switched to. */
#define GANNET_TLS_SWITCHES 2

extern uint32_t ulGannetSwitches;
extern void *pvGannetSwitchedOut;

#define traceTASK_SWITCHED_OUT() (pvGannetSwitchedOut = pxCurrentTCB)
#define traceTASK_SWITCHED_IN()                                                            \
    do {                                                                                   \
        if (pvGannetSwitchedOut != pxCurrentTCB) {                                         \
            __atomic_fetch_add(&ulGannetSwitches, 1, __ATOMIC_RELAXED);                    \
            pxCurrentTCB->pvThreadLocalStoragePointers[GANNET_TLS_SWITCHES] =              \
                (void *)((uintptr_t)pxCurrentTCB                                           \
                             ->pvThreadLocalStoragePointers[GANNET_TLS_SWITCHES] + 1);     \
        }                                                                                  \
    } while (0)

#endif
