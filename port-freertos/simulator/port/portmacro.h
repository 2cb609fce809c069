/*
 * FreeRTOS on a Linux host, one thread per task: types and macros. How it works is told in port.c.
 *
 * Unlike the kernel's own POSIX port, the base types are 32 bits wide, as on Cortex-M and as the
 * Rust bindings of freertos-next assume: with 64-bit types those bindings corrupt memory.
 */
#ifndef PORTMACRO_H
#define PORTMACRO_H

#include <stddef.h>
#include <stdint.h>

#define portCHAR char
#define portFLOAT float
#define portDOUBLE double
#define portLONG long
#define portSHORT short
#define portSTACK_TYPE unsigned long
#define portBASE_TYPE int
#define portPOINTER_SIZE_TYPE uintptr_t

typedef portSTACK_TYPE StackType_t;
typedef int BaseType_t;
typedef unsigned int UBaseType_t;
typedef uint32_t TickType_t;
#define portMAX_DELAY ((TickType_t)0xffffffffUL)
#define portTICK_TYPE_IS_ATOMIC 1

#define portSTACK_GROWTH (-1)
#define portHAS_STACK_OVERFLOW_CHECKING 1
#define portTICK_PERIOD_MS ((TickType_t)1000 / configTICK_RATE_HZ)
#define portBYTE_ALIGNMENT 16

/* Switching. From an interrupt handler the switch happens when the handler has returned; inside a
 * critical section when that ends (as PendSV is held back on Cortex-M). */
extern void vPortYield(void);
extern void vPortYieldFromISR(void);
#define portYIELD() vPortYield()
#define portEND_SWITCHING_ISR(x)                  \
    do {                                          \
        if ((x) != pdFALSE) vPortYieldFromISR();  \
    } while (0)
#define portYIELD_FROM_ISR(x) portEND_SWITCHING_ISR(x)

/* Masking. */
extern void vPortEnterCritical(void);
extern void vPortExitCritical(void);
extern void vPortDisableInterrupts(void);
extern void vPortEnableInterrupts(void);
extern UBaseType_t xPortSetInterruptMask(void);
extern void vPortClearInterruptMask(UBaseType_t);
extern BaseType_t xPortIsInsideInterrupt(void);
#define portDISABLE_INTERRUPTS() vPortDisableInterrupts()
#define portENABLE_INTERRUPTS() vPortEnableInterrupts()
#define portENTER_CRITICAL() vPortEnterCritical()
#define portEXIT_CRITICAL() vPortExitCritical()
#define portSET_INTERRUPT_MASK_FROM_ISR() xPortSetInterruptMask()
#define portCLEAR_INTERRUPT_MASK_FROM_ISR(x) vPortClearInterruptMask(x)

/* Task deletion. */
extern void vPortThreadDying(void *pxTask);
extern void vPortReapThread(void *pxTask);
#define portPRE_TASK_DELETE_HOOK(task, yieldPending) vPortThreadDying(task)
#define portCLEAN_UP_TCB(tcb) vPortReapThread(tcb)

#define portTASK_FUNCTION_PROTO(f, p) void f(void *p)
#define portTASK_FUNCTION(f, p) void f(void *p)
#define portMEMORY_BARRIER() __asm volatile("" ::: "memory")
#define portNOP() __asm volatile("nop")

#include "simulator.h"

#endif
