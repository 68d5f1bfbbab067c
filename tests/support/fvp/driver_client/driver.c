#include "driver.h"

#include "corstone300.h"

#define RESET_PRIVILEGED 1u
#define RESET_POLLS 100000u
#define CMD_RUN 1u
#define CMD_CLEAR_IRQ 2u
#define CMD_POWER_MASK 0xCu
#define STATUS_RESET (1u << 3)
#define STATUS_END_REACHED (1u << 5)
/* 64-byte bursts, 32 reads and 16 writes outstanding. */
#define AXI_LIMIT_WORD (15u << 24 | 31u << 16)

struct driver_state driver;

uint32_t npu_read(uint32_t offset)
{
    return read32(NPU_BASE + SECURE_ALIAS + offset);
}

void npu_write(uint32_t offset, uint32_t value)
{
    write32(NPU_BASE + SECURE_ALIAS + offset, value);
}

static void semaphore_give(void)
{
    driver.semaphore++;
    __asm__ volatile("dsb\n sev" ::: "memory");
}

static void semaphore_take(void)
{
    while (driver.semaphore == 0) {
        __asm__ volatile("wfe" ::: "memory");
    }
    driver.semaphore--;
}

bool driver_reset(const struct request *request)
{
    npu_write(NPU_RESET, RESET_PRIVILEGED);
    for (uint32_t i = 0; i < RESET_POLLS && npu_read(NPU_STATUS) & STATUS_RESET; i++) {
    }
    if (npu_read(NPU_STATUS) & STATUS_RESET || npu_read(NPU_PROT) != RESET_PRIVILEGED) {
        return false;
    }
    npu_write(NPU_QCONFIG, request->qconfig);
    npu_write(NPU_REGIONCFG, request->regioncfg);
    for (uint32_t i = 0; i < 4; i++) {
        npu_write(NPU_AXI_LIMIT + 4 * i, AXI_LIMIT_WORD);
    }
    return true;
}

void driver_start(const struct request *request)
{
    npu_write(NPU_QBASE, request->stream);
    npu_write(NPU_QSIZE, request->stream_bytes);
    for (uint32_t i = 0; i < REGIONS; i++) {
        npu_write(NPU_BASEP + 8 * i, request->bases[i]);
    }
    npu_write(NPU_CMD, (npu_read(NPU_CMD) & CMD_POWER_MASK) | CMD_RUN);
}

void driver_interrupt(void)
{
    driver.interrupts++;
    driver.status_before_clear = npu_read(NPU_STATUS);
    npu_write(NPU_CMD, (npu_read(NPU_CMD) & CMD_POWER_MASK) | CMD_CLEAR_IRQ);
    driver.status = npu_read(NPU_STATUS);
    driver.qread = npu_read(NPU_QREAD);
    driver.succeeded = !(driver.status & STATUS_FAULTS) && driver.status & STATUS_END_REACHED;
    semaphore_give();
}

bool driver_wait(void)
{
    semaphore_take();
    return driver.succeeded;
}
