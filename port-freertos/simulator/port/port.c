/*
 * FreeRTOS on a Linux host, one thread per task.
 *
 * The CPU. A task is a thread that runs only while it is the current task; all others sleep on
 * their own futex (`Thread.run`). A switch wakes the new thread and puts the old one to sleep: the
 * threads hand over "the CPU", and with it everything below marked (CPU): only its holder touches
 * those variables, and the futex words order the accesses.
 *
 * It is one CPU of the host, too: tasks are pinned to the one on which the scheduler was first started.
 * Two threads that hand over to one another are otherwise kept on two by the Linux kernel, and
 * waking an idle CPU costs ten times what the switch does. Threads of the host program that a task
 * has started inherit that; vPortSimLeaveCpu gives them all CPUs back.
 *
 * Interrupts are signals sent to the process. Only the current task's thread has them unblocked,
 * so the Linux kernel delivers to it, or keeps the signal pending: no interrupt is ever lost
 * between two tasks, which is what happens if one picks a thread and sends to that one.
 * SIGALRM is the tick (timer_create; the handler catches up with CLOCK_MONOTONIC, so ticks are
 * neither lost nor late on average), SIGUSR2 a line raised by vPortSimRaiseIrq, SIGIO line 0,
 * raised by the Linux kernel for file descriptors with O_ASYNC. (A signal of its own: signals of
 * one number merge, and a merged one would not say that a descriptor was meant.)
 *
 * Masking is lazy: a critical section only counts (`critical_nesting`). The handler that finds it
 * above zero notes what came in `deferred`, and the outermost exit does that work. A yield inside
 * a critical section is deferred the same way, like PendSV on Cortex-M. So critical sections make
 * no system call. Signals are blocked for real ("hard") only while switching.
 *
 * Deleting a task doesn't cancel its thread: pthread_cancel unwinds the stack, and an unwind
 * through Rust's `extern "C"` frames aborts the process. The thread is woken once more with
 * `dying` set, jumps back to its first frame and returns. As on a microcontroller, no destructor
 * of the deleted task runs. When the scheduler ends, all threads left are ended in that way, and
 * it can be started again.
 *
 * Threads of the host program may live beside the tasks. They should block the signals above; one
 * that doesn't and gets an interrupt blocks it from then on and passes it on. They must not call
 * the kernel, but may raise interrupts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "FreeRTOS.h"
#include "task.h"

#define SIG_TICK SIGALRM
#define SIG_LINE SIGUSR2
#define SIG_DEVICE SIGIO

/* What can be deferred. */
#define TICK 1u
#define LINES 2u
#define YIELD 4u

#define TICK_NS (1000000000ull / configTICK_RATE_HZ)

/* Of each task's thread; address space only, Linux commits what is used. The stack depth given to
 * xTaskCreate is taken from FreeRTOS's heap and otherwise unused. */
#ifndef configSIM_STACK_BYTES
#define configSIM_STACK_BYTES (1024 * 1024)
#endif

typedef struct Thread {
    pthread_t pthread;
    TaskFunction_t code;
    void *params;
    atomic_int run;      /* futex; 1: has the CPU, or is about to get it */
    volatile bool dying; /* (CPU) jump to `base` instead of going on */
    jmp_buf base;        /* the thread's first frame */
    struct Thread *next; /* (CPU) in `threads` */
} Thread;

static __thread Thread *self;         /* NULL: not a task's thread */
static Thread *threads;               /* (CPU) all of them */
static volatile int critical_nesting; /* (CPU) of the current task; switches save it */
static volatile bool in_isr;          /* (CPU) */
static volatile bool isr_yield;       /* (CPU) a handler woke a task */
static atomic_uint deferred;          /* TICK, LINES, YIELD; (CPU), and its signal handlers */

static atomic_uint lines_pending;     /* a bit per interrupt line */
static _Atomic(GannetSimIsr_t) isr_table[GANNET_SIM_LINES];

static sigset_t sim_signals;
static timer_t tick_timer;
static _Atomic uint64_t epoch_ns; /* the first start in this process; 0: not yet */
static _Atomic uint64_t start_ns; /* this start */
static uint64_t ticks_done;       /* (CPU) */
static atomic_bool running;
static atomic_int ended; /* futex */
static pthread_once_t cpu_once = PTHREAD_ONCE_INIT;
static cpu_set_t all_cpus; /* of the thread that first started the scheduler */
static cpu_set_t the_cpu;  /* the one that tasks run on; empty: not known */

/* ---- helpers ---- */

static void fatal(const char *what, int error) {
    fprintf(stderr, "FreeRTOS simulator: %s: %s\n", what, strerror(error));
    abort();
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void futex_wait(atomic_int *word, int value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(atomic_int *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void hard_mask(void) {
    pthread_sigmask(SIG_BLOCK, &sim_signals, NULL);
}

static void hard_unmask(void) {
    pthread_sigmask(SIG_UNBLOCK, &sim_signals, NULL);
}

/* The first word of the stack, see pxPortInitialiseStack. */
static Thread *thread_of(TaskHandle_t task) {
    StackType_t *top = *(StackType_t **)task; /* pxTopOfStack is the first member of the TCB */
    return *(Thread **)(top + 1);
}

/* Failing costs speed only. */
static void choose_cpu(void) {
    CPU_ZERO(&the_cpu);
    int cpu = sched_getcpu();
    if (cpu >= 0 && cpu < CPU_SETSIZE && sched_getaffinity(0, sizeof all_cpus, &all_cpus) == 0)
        CPU_SET(cpu, &the_cpu);
}

static void use_cpus(const cpu_set_t *cpus) {
    if (CPU_COUNT(&the_cpu) != 0) sched_setaffinity(0, sizeof *cpus, cpus);
}

/* ---- switching; signals are hard masked ---- */

static void resume(Thread *t) {
    atomic_store(&t->run, 1);
    futex_wake(&t->run);
}

static void sleep_until_resumed(Thread *t) {
    while (atomic_exchange(&t->run, 0) == 0) futex_wait(&t->run, 0);
    if (t->dying) longjmp(t->base, 1);
}

static void switch_task(void) {
    Thread *from = thread_of(xTaskGetCurrentTaskHandle());
    vTaskSwitchContext();
    Thread *to = thread_of(xTaskGetCurrentTaskHandle());
    if (from == to) return;

    int nesting = critical_nesting;
    bool dying = from->dying; /* read before `from` can be reaped */
    resume(to);
    if (dying) longjmp(from->base, 1);
    sleep_until_resumed(from);
    critical_nesting = nesting;
}

/* ---- interrupts; signals are hard masked ---- */

static bool do_ticks(void) {
    bool yield = false;
    uint64_t due = (now_ns() - start_ns) / TICK_NS;
    while (ticks_done < due) {
        ticks_done++;
        if (xTaskIncrementTick() != pdFALSE) yield = true;
    }
    return yield;
}

static bool do_lines(void) {
    isr_yield = false;
    unsigned pending = atomic_exchange(&lines_pending, 0);
    for (unsigned line = 0; pending != 0; line++, pending >>= 1) {
        GannetSimIsr_t isr = (pending & 1u) ? atomic_load(&isr_table[line]) : NULL;
        if (isr) isr(line);
    }
    return isr_yield;
}

/* Does `work` and whatever is deferred meanwhile, by this task or one that ran in between. */
static void service(unsigned work) {
    work |= atomic_exchange(&deferred, 0);
    while (work != 0) {
        critical_nesting++;
        in_isr = true;
        bool yield = (work & YIELD) != 0;
        if (work & TICK) yield |= do_ticks();
        if (work & LINES) yield |= do_lines();
        in_isr = false;
        if (yield) switch_task();
        critical_nesting--;
        work = atomic_exchange(&deferred, 0);
    }
}

static void on_signal(int sig, siginfo_t *info, void *context) {
    (void)info;
    int saved_errno = errno;
    if (sig == SIG_DEVICE) atomic_fetch_or(&lines_pending, 1u);
    if (self == NULL) {
        /* A thread of the host program: not again on this one. */
        ucontext_t *u = context;
        sigaddset(&u->uc_sigmask, SIG_TICK);
        sigaddset(&u->uc_sigmask, SIG_LINE);
        sigaddset(&u->uc_sigmask, SIG_DEVICE);
        if (atomic_load(&running)) kill(getpid(), sig);
    } else {
        unsigned work = sig == SIG_TICK ? TICK : LINES;
        if (critical_nesting > 0)
            atomic_fetch_or(&deferred, work);
        else
            service(work);
    }
    errno = saved_errno;
}

static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;

static void install_handlers(void) {
    sigemptyset(&sim_signals);
    sigaddset(&sim_signals, SIG_TICK);
    sigaddset(&sim_signals, SIG_LINE);
    sigaddset(&sim_signals, SIG_DEVICE);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    /* SA_RESTART: reads and writes in tasks go on after a tick; poll(2) still returns EINTR. */
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    action.sa_sigaction = on_signal;
    action.sa_mask = sim_signals;
    if (sigaction(SIG_TICK, &action, NULL) || sigaction(SIG_LINE, &action, NULL) ||
        sigaction(SIG_DEVICE, &action, NULL))
        fatal("sigaction", errno);
}

/* ---- what the kernel calls ---- */

void vPortEnterCritical(void) {
    /* A kernel function on a thread that has not the CPU; it should raise an interrupt instead. */
    configASSERT(self != NULL || !atomic_load_explicit(&running, memory_order_relaxed));
    critical_nesting++;
    portMEMORY_BARRIER();
}

void vPortExitCritical(void) {
    portMEMORY_BARRIER();
    critical_nesting--;
    portMEMORY_BARRIER();
    /* A signal from here on finds the nesting at zero and is served by its handler. */
    if (critical_nesting == 0 && atomic_load_explicit(&deferred, memory_order_relaxed) != 0 && self != NULL) {
        hard_mask();
        service(0);
        hard_unmask();
    }
}

/* Only vTaskStartScheduler and vTaskEndScheduler call these two. */
void vPortDisableInterrupts(void) {
    if (critical_nesting == 0) critical_nesting = 1;
}

void vPortEnableInterrupts(void) {
    if (critical_nesting > 0) {
        critical_nesting = 1;
        vPortExitCritical();
    }
}

/* Handlers don't nest, so there is nothing to mask in one; but a FromISR function called from a
 * task by mistake must not corrupt a list. */
UBaseType_t xPortSetInterruptMask(void) {
    vPortEnterCritical();
    return 0;
}

void vPortClearInterruptMask(UBaseType_t mask) {
    (void)mask;
    vPortExitCritical();
}

BaseType_t xPortIsInsideInterrupt(void) {
    return self != NULL && in_isr;
}

void vPortYield(void) {
    configASSERT(self != NULL);
    if (in_isr) {
        isr_yield = true;
        return;
    }
    if (critical_nesting > 0) {
        atomic_fetch_or(&deferred, YIELD);
        return;
    }
    hard_mask();
    service(YIELD);
    hard_unmask();
}

void vPortYieldFromISR(void) {
    vPortYield();
}

static void *thread_main(void *arg) {
    Thread *t = arg;
    self = t;
    if (setjmp(t->base) == 0) {
        sleep_until_resumed(t);
        use_cpus(&the_cpu);
        critical_nesting = 0;
        pthread_setname_np(pthread_self(), pcTaskGetName(NULL));
        service(0);
        hard_unmask();
        t->code(t->params);
        configASSERT(pdFALSE); /* a task function must not return */
    }
    self = NULL; /* destructors of thread locals run on a thread like any other */
    return NULL;
}

StackType_t *pxPortInitialiseStack(StackType_t *top, StackType_t *end, TaskFunction_t code, void *params) {
    (void)end;
    pthread_once(&handlers_once, install_handlers);
    /* Not preempted in between: another task could wait for the allocator's lock for ever. The
     * thread inherits the signal mask. */
    vPortEnterCritical();
    sigset_t old_mask;
    pthread_sigmask(SIG_BLOCK, &sim_signals, &old_mask);
    Thread *t = calloc(1, sizeof *t);
    if (t == NULL) fatal("calloc", ENOMEM);
    t->code = code;
    t->params = params;
    t->next = threads;
    threads = t;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, configSIM_STACK_BYTES);
    int error = pthread_create(&t->pthread, &attr, thread_main, t);
    if (error != 0) fatal("pthread_create", error);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
    vPortExitCritical();
    *top = (StackType_t)t;
    return top - 1;
}

void vPortThreadDying(void *task) {
    thread_of(task)->dying = true;
}

static void end_thread(Thread *t) {
    t->dying = true;
    resume(t);
    pthread_join(t->pthread, NULL);
    free(t);
}

void vPortReapThread(void *task) {
    Thread *t = thread_of(task);
    vPortEnterCritical(); /* free(3) takes the allocator's lock */
    Thread **link = &threads;
    while (*link != t) link = &(*link)->next;
    *link = t->next;
    end_thread(t);
    vPortExitCritical();
}

BaseType_t xPortStartScheduler(void) {
    sigset_t old_mask;
    pthread_sigmask(SIG_BLOCK, &sim_signals, &old_mask);
    critical_nesting = 0;
    pthread_once(&cpu_once, choose_cpu);
    atomic_store(&running, true);
    /* Lines raised before that made no signal; the first task serves them. */
    atomic_store(&deferred, atomic_load(&lines_pending) != 0 ? LINES : 0);
    atomic_store(&ended, 0);
    ticks_done = 0;
    uint64_t now = now_ns();
    atomic_store(&start_ns, now);
    if (atomic_load(&epoch_ns) == 0) atomic_store(&epoch_ns, now);

    struct sigevent event;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIG_TICK;
    if (timer_create(CLOCK_MONOTONIC, &event, &tick_timer)) fatal("timer_create", errno);
    struct itimerspec period;
    period.it_interval.tv_sec = TICK_NS / 1000000000ull;
    period.it_interval.tv_nsec = TICK_NS % 1000000000ull;
    period.it_value = period.it_interval;
    if (timer_settime(tick_timer, 0, &period, NULL)) fatal("timer_settime", errno);

    resume(thread_of(xTaskGetCurrentTaskHandle()));
    while (atomic_load(&ended) == 0) futex_wait(&ended, 0);

    while (threads != NULL) {
        Thread *t = threads;
        threads = t->next;
        end_thread(t);
    }
    atomic_store(&running, false);
    /* Signals still pending for the process would hit the next thread that unblocks them. */
    const struct timespec no_wait = {0, 0};
    for (int sig; (sig = sigtimedwait(&sim_signals, NULL, &no_wait)) > 0;)
        if (sig == SIG_DEVICE) atomic_fetch_or(&lines_pending, 1u);
    pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
    return 0;
}

/* The calling task sleeps for ever, until xPortStartScheduler ends its thread. */
void vPortEndScheduler(void) {
    hard_mask();
    timer_delete(tick_timer);
    Thread *t = self;
    atomic_store(&ended, 1);
    futex_wake(&ended);
    if (t != NULL)
        for (;;) sleep_until_resumed(t);
}

/* ---- simulator.h ---- */

void vPortSimInstallIrq(unsigned int line, GannetSimIsr_t isr) {
    configASSERT(line < GANNET_SIM_LINES);
    pthread_once(&handlers_once, install_handlers);
    atomic_store(&isr_table[line], isr);
}

void vPortSimRaiseIrq(unsigned int line) {
    configASSERT(line < GANNET_SIM_LINES);
    /* If something is pending already, its signal is still to be served, and serves this too. */
    if (atomic_fetch_or(&lines_pending, 1u << line) == 0 && atomic_load(&running)) kill(getpid(), SIG_LINE);
}

void vPortSimYieldFromIsr(int woken) {
    portYIELD_FROM_ISR(woken);
}

void vPortSimLeaveCpu(void) {
    if (self == NULL && atomic_load(&running)) use_cpus(&all_cpus);
}

int xPortSimOnTask(void) {
    return self != NULL;
}

int xPortSimInIsr(void) {
    return self != NULL && in_isr;
}

uint64_t ullPortSimMicros(void) {
    uint64_t epoch = atomic_load(&epoch_ns);
    return epoch == 0 ? 0 : (now_ns() - epoch) / 1000;
}

uint64_t ullPortSimTickZeroMicros(void) {
    return (atomic_load(&start_ns) - atomic_load(&epoch_ns)) / 1000;
}
