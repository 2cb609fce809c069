/*
 * FreeRTOS on the MPS2: what gannet's port and this firmware need of the kernel. Sizes, clock and
 * interrupt priorities come from build.rs; features (task deletion, ...) from the features of the
 * crate freertos-next that gannet-port-freertos asks for.
 */
#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

#include <stdint.h>

/* The names of cortex-m-rt's vector table. */
#define vPortSVCHandler SVCall
#define xPortPendSVHandler PendSV
#define xPortSysTickHandler SysTick

extern void assert_callback(uint32_t ulLine, const char *pcFileName);
#define configASSERT(x)                              \
    do {                                             \
        if ((x) == 0) assert_callback(__LINE__, __FILE__); \
    } while (0)

/* Above 1000 Hz portTICK_PERIOD_MS would be 0. */
#define configTICK_RATE_HZ 1000
#define configUSE_16_BIT_TICKS 0

/* Sleeps until the next interrupt; ports written in assembly choose the next task with CLZ. */
#define configUSE_IDLE_HOOK 1
#define configUSE_PORT_OPTIMISED_TASK_SELECTION 1
#define configUSE_TICK_HOOK 0
#define configUSE_MALLOC_FAILED_HOOK 0

#define configUSE_MUTEXES 1
#define configUSE_TASK_NOTIFICATIONS 1
#define configUSE_APPLICATION_TASK_TAG 0
#define configUSE_STATS_FORMATTING_FUNCTIONS 0
#define configUSE_CO_ROUTINES 0
#define configMAX_CO_ROUTINE_PRIORITIES 2
/* cortex-m-rt places the vectors. */
#define configCHECK_HANDLER_INSTALLATION 0

#define INCLUDE_vTaskDelay 1
#define INCLUDE_vTaskPrioritySet 1
#define INCLUDE_uxTaskPriorityGet 1
#define INCLUDE_eTaskGetState 1
#define INCLUDE_xTaskGetCurrentTaskHandle 1
#define INCLUDE_xTaskGetSchedulerState 1
#define INCLUDE_xTaskAbortDelay 1
#define INCLUDE_uxTaskGetStackHighWaterMark 1

#endif
