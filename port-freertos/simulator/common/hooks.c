/*
 * What the kernel calls on the simulator, whichever port drives it: the idle hook, failed
 * assertions; and the counters of gannet_trace.h.
 *
 * In C, not in Rust: the stock port cancels the idle task's thread inside the hook, and a forced
 * unwind through a Rust `extern "C"` frame aborts the process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "FreeRTOS.h"
#include "task.h"

uint32_t ulGannetSwitches;
void *pvGannetSwitchedOut;

/* Sleeps until a signal, that is until the next simulated interrupt. A wake-up cannot be missed:
 * the interrupt switches to the woken task inside the signal handler. */
void vApplicationIdleHook(void) {
    pause();
}

void vGannetAssertFailed(uint32_t ulLine, const char *pcFileName) {
    char text[256];
    int len = snprintf(text, sizeof text, "FreeRTOS assertion failed: %s:%u\n", pcFileName, (unsigned)ulLine);
    /* write(2): stdio's lock may belong to a task that will never run again. */
    if (len > 0 && write(STDERR_FILENO, text, strnlen(text, sizeof text)) < 0) { /* nowhere to complain */ }
    abort();
}
