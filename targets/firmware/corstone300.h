/* Corstone-300 (SSE-300 on the FVP and on the MPS3 board): addresses and registers we use.
 *
 * Every address is written in its non-secure form; `alias()` turns it into the one that the
 * processor's security state may use (the secure alias lies 0x10000000 higher). */
#ifndef CORSTONE300_H
#define CORSTONE300_H

#include <stdint.h>

#define SECURE_ALIAS 0x10000000u

#define UART0_BASE 0x49303000u
#define NPU_BASE 0x48102000u
#define TIMING_ADAPTER_BASE 0x48103000u
#define TIMING_ADAPTER_STRIDE 0x200u
#define NPU_IRQ 56u

/* The memories the NPU reaches; it cannot see the processor's TCMs. */
#define BRAM_BASE 0x01000000u
#define BRAM_BYTES 0x00100000u
#define ISRAM_BASE 0x21000000u
#define ISRAM_BYTES 0x00200000u
#define DDR_BYTES 0x10000000u

/* Memory protection controllers exist in the secure world only. */
#define MPC_BRAM 0x57000000u
#define MPC_DDR 0x57002000u
#define MPC_ISRAM0 0x50083000u
#define MPC_ISRAM1 0x50084000u

#define JOB_ADDRESS 0x60000000u
#define JOB_BYTES_MAX DDR_BYTES

#define SCB_CPUID 0xE000ED00u
#define SCB_VTOR 0xE000ED08u
#define SCB_CFSR 0xE000ED28u
#define SCB_HFSR 0xE000ED2Cu
#define SCB_BFAR 0xE000ED38u
#define NVIC_ISER 0xE000E100u
#define NVIC_ICPR 0xE000E280u
#define SYSTICK_CTRL 0xE000E010u
#define SYSTICK_LOAD 0xE000E014u
#define SYSTICK_VALUE 0xE000E018u

static inline uint32_t read32(uint32_t address)
{
    return *(volatile uint32_t *)(uintptr_t)address;
}

static inline void write32(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)address = value;
}

static inline void wait_for_interrupt(void)
{
    __asm__ volatile("dsb\n wfi" ::: "memory");
}

/* Make what was written visible to the NPU before it is told to look. The data cache, which the
 * Cortex-M55 has, is off after reset and nothing here turns it on, so a barrier is enough. */
static inline void memory_barrier(void)
{
    __asm__ volatile("dsb" ::: "memory");
}

#endif
