/* A small driver for the NPU with the habits of Arm's: it sleeps on a semaphore with WFE, clears the
 * interrupt before it looks at STATUS, and programs the PMU through the same registers. */
#ifndef DRIVER_H
#define DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#define REGIONS 8u

/* What the test puts at REQUEST_ADDRESS; tests/integration/test_virtual_driver.py has the same. */
struct request {
    uint32_t scenario;
    uint32_t stream;
    uint32_t stream_bytes;
    uint32_t bases[REGIONS];
    uint32_t qconfig;
    uint32_t regioncfg;
    uint32_t event;
    uint32_t preset;
    uint32_t cycle_config;
    uint32_t systick_cycles;
};

enum npu_register {
    NPU_STATUS = 0x004,
    NPU_CMD = 0x008,
    NPU_RESET = 0x00C,
    NPU_QBASE = 0x010,
    NPU_QREAD = 0x018,
    NPU_QCONFIG = 0x01C,
    NPU_QSIZE = 0x020,
    NPU_PROT = 0x024,
    NPU_REGIONCFG = 0x03C,
    NPU_AXI_LIMIT = 0x040,
    NPU_BASEP = 0x080,
    NPU_PMCR = 0x180,
    NPU_PMCNTENSET = 0x184,
    NPU_PMCNTENCLR = 0x188,
    NPU_PMOVSSET = 0x18C,
    NPU_PMOVSCLR = 0x190,
    NPU_PMINTSET = 0x194,
    NPU_PMINTCLR = 0x198,
    NPU_PMCCNTR = 0x1A0,
    NPU_PMCCNTR_CFG = 0x1A8,
    NPU_PMEVCNTR = 0x300,
    NPU_PMEVTYPER = 0x380,
    NPU_PID4 = 0xFD0,
};

#define PMU_CYCLE_COUNTER (1u << 31)
#define STATUS_FAULTS (1u << 2 | 1u << 4 | 1u << 7 | 1u << 8)

/* What the interrupt handler saw. */
struct driver_state {
    volatile uint32_t semaphore;
    volatile uint32_t interrupts;
    volatile uint32_t status_before_clear;
    volatile uint32_t status;
    volatile uint32_t qread;
    volatile bool succeeded;
};

extern struct driver_state driver;

uint32_t npu_read(uint32_t offset);
void npu_write(uint32_t offset, uint32_t value);

bool driver_reset(const struct request *request);
void driver_start(const struct request *request);
void driver_interrupt(void);
/* Sleep until a run has ended. */
bool driver_wait(void);

#endif
