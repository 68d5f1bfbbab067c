/* From reset to main: stack, vector table, memory. */
#include <stdint.h>

#include "corstone300.h"

typedef void (*vector)(void);

extern uint32_t data_source, data_start, data_end, bss_start, bss_end, stack_top;

int main(void);
void processor_fault(void);
void npu_interrupt(void);
void systick_handler(void);
void reset_handler(void);
void start(void);

extern const vector vectors[];

void start(void)
{
    write32(SCB_VTOR, (uint32_t)(uintptr_t)vectors);
    const uint32_t *from = &data_source;
    for (uint32_t *to = &data_start; to < &data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
    __asm__ volatile("cpsie i" ::: "memory");
    (void)main();
}

/* A debugger or a simulator may start here without having read the vector table: set the stack
 * pointer, and have a stack overflow fault instead of eating the data. */
__attribute__((naked, noreturn)) void reset_handler(void)
{
    __asm__ volatile("cpsid i\n"
                     "ldr r0, =stack_top\n"
                     "msr msp, r0\n"
                     "ldr r0, =bss_end\n"
                     "msr msplim, r0\n"
                     "bl start\n"
                     "b .\n");
}

/* Aligned for VTOR: a power of two not less than the table's size. */
__attribute__((section(".vectors"), used, aligned(512))) const vector vectors[16 + NPU_IRQ + 1] = {
    (vector)&stack_top, /* initial stack pointer */
    reset_handler,
    processor_fault, /* NMI */
    processor_fault, /* HardFault */
    processor_fault, /* MemManage */
    processor_fault, /* BusFault */
    processor_fault, /* UsageFault */
    processor_fault, /* SecureFault */
    0,
    0,
    0,
    processor_fault, /* SVCall */
    processor_fault, /* DebugMonitor */
    0,
    processor_fault, /* PendSV */
    systick_handler,
    [16 + NPU_IRQ] = npu_interrupt,
};
