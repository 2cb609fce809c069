/*
 * FreeRTOS on the simulator: what the tests and examples of gannet need from the kernel, for this
 * directory's port and for the kernel's own POSIX port alike. Sizes and priorities come from
 * build.rs; features (task deletion, ...) from the features of the crate freertos-next.
 */
#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

#include <stdint.h>

#include "gannet_trace.h"

extern void vGannetAssertFailed(uint32_t ulLine, const char *pcFileName);
#define configASSERT(x)                                   \
    do {                                                  \
        if ((x) == 0) vGannetAssertFailed(__LINE__, __FILE__); \
    } while (0)

/* Above 1000 Hz portTICK_PERIOD_MS would be 0, and freertos-next's Duration divides by it. */
#define configTICK_RATE_HZ 1000
#define configUSE_16_BIT_TICKS 0

/* The 32-bit count overflows 300 ticks after each start, so that every test of some length goes
 * through what a device does after 49 days. src/ffi.rs (INITIAL_TICKS) has it too. */
#define configINITIAL_TICK_COUNT (0xffffffffu - 300u)

/* As the bindings of freertos-next assume. */
#define configSTACK_DEPTH_TYPE uint16_t
#define configRUN_TIME_COUNTER_TYPE uint32_t

/* The idle hook sleeps until the next simulated interrupt; without it idle takes a whole core. */
#define configUSE_IDLE_HOOK 1
#define configUSE_TICK_HOOK 0
#define configUSE_MALLOC_FAILED_HOOK 0

#define configUSE_MUTEXES 1
#define configUSE_TASK_NOTIFICATIONS 1
/* Index 0 belongs to the application. */
#define configTASK_NOTIFICATION_ARRAY_ENTRIES 3
#define configNUM_THREAD_LOCAL_STORAGE_POINTERS (GANNET_TLS_SWITCHES + 1)
#define configUSE_APPLICATION_TASK_TAG 0
#define configUSE_STATS_FORMATTING_FUNCTIONS 0
#define configUSE_CO_ROUTINES 0
#define configMAX_CO_ROUTINE_PRIORITIES 2

#define configSUPPORT_STATIC_ALLOCATION 1
#define configKERNEL_PROVIDED_STATIC_MEMORY 1
#define configSUPPORT_DYNAMIC_ALLOCATION 1
#define configCHECK_HANDLER_INSTALLATION 0

#define INCLUDE_vTaskDelay 1
#define INCLUDE_vTaskPrioritySet 1
#define INCLUDE_uxTaskPriorityGet 1
#define INCLUDE_eTaskGetState 1
#define INCLUDE_xTaskGetCurrentTaskHandle 1
#define INCLUDE_xTaskGetSchedulerState 1
#define INCLUDE_xTaskAbortDelay 1
#define INCLUDE_xSemaphoreGetMutexHolder 1

#endif
