/*
 * simulator.h on top of the POSIX port that comes with the kernel (feature `stock-port`).
 *
 * It exists to show that nothing above needs the port in ../port. Differences that remain: 
 * interrupt may be taken in a critical section of critical_section::with that signals an event
 * (the switch happens at once, see src/critical.rs), a deleted task must have returned (its thread
 * is cancelled), and ticks run slow.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "FreeRTOS.h"
#include "task.h"

#include "simulator.h"

/* The port's own signals are SIGUSR1 and SIGALRM. */
#define SIG_LINE SIGUSR2
#define SIG_DEVICE SIGIO

static atomic_uint lines_pending;
static _Atomic(GannetSimIsr_t) isr_table[GANNET_SIM_LINES];
static volatile int in_isr;
static volatile int isr_yield;

/* The port keeps its data of a thread at the head of the task's stack, pthread_t first. A TCB of
 * a task deleted meanwhile is still memory of FreeRTOS's heap, which is never unmapped. */
int xPortSimOnTask(void) {
    TaskHandle_t task = xTaskGetCurrentTaskHandle();
    if (task == NULL) return 0;
    const StackType_t *top = *(StackType_t **)task;
    pthread_t thread;
    memcpy(&thread, top + 1, sizeof thread);
    return pthread_equal(thread, pthread_self()) != 0;
}

int xPortSimInIsr(void) {
    return in_isr && xPortSimOnTask();
}

/* shim.c of freertos-next calls it, the port has it not. */
BaseType_t xPortIsInsideInterrupt(void) {
    return xPortSimInIsr();
}

void vPortSimYieldFromIsr(int woken) {
    if (woken) isr_yield = 1;
}

static void on_signal(int sig) {
    int saved_errno = errno;
    if (sig == SIG_DEVICE) atomic_fetch_or(&lines_pending, 1u);
    if (!xPortSimOnTask()) {
        /* Before the start, or a thread that doesn't block signals: block, and pass it on. */
        sigset_t these;
        sigemptyset(&these);
        sigaddset(&these, SIG_LINE);
        sigaddset(&these, SIG_DEVICE);
        pthread_sigmask(SIG_BLOCK, &these, NULL);
        if (xTaskGetSchedulerState() != taskSCHEDULER_NOT_STARTED) kill(getpid(), sig);
    } else {
        in_isr = 1;
        isr_yield = 0;
        unsigned pending = atomic_exchange(&lines_pending, 0);
        for (unsigned line = 0; pending != 0; line++, pending >>= 1) {
            GannetSimIsr_t isr = (pending & 1u) ? atomic_load(&isr_table[line]) : NULL;
            if (isr) isr(line);
        }
        in_isr = 0;
        if (isr_yield) vPortYield();
    }
    errno = saved_errno;
}

static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;

static void install_handlers(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_flags = SA_RESTART;
    action.sa_handler = on_signal;
    sigfillset(&action.sa_mask);
    sigaction(SIG_LINE, &action, NULL);
    sigaction(SIG_DEVICE, &action, NULL);
}

void vPortSimInstallIrq(unsigned int line, GannetSimIsr_t isr) {
    configASSERT(line < GANNET_SIM_LINES);
    pthread_once(&handlers_once, install_handlers);
    atomic_store(&isr_table[line], isr);
}

/* Nothing is pinned here. */
void vPortSimLeaveCpu(void) {
}

void vPortSimRaiseIrq(unsigned int line) {
    configASSERT(line < GANNET_SIM_LINES);
    pthread_once(&handlers_once, install_handlers);
    atomic_fetch_or(&lines_pending, 1u << line);
    /* Always a signal: one that hit a foreign thread before the start is gone. */
    kill(getpid(), SIG_LINE);
}
