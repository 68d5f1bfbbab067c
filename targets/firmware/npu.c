#include "npu.h"

#include "corstone300.h"
#include "memory.h"

enum {
    ID = 0x000,
    STATUS = 0x004,
    CMD = 0x008,
    RESET = 0x00C,
    QBASE = 0x010,
    QREAD = 0x018,
    QCONFIG = 0x01C,
    QSIZE = 0x020,
    PROT = 0x024,
    CONFIG = 0x028,
    REGIONCFG = 0x03C,
    AXI_LIMIT = 0x040,
    BASEP = 0x080,
    PMCR = 0x180,
    PMCNTENSET = 0x184,
    PMCNTENCLR = 0x188,
    PMOVSSET = 0x18C,
    PMOVSCLR = 0x190,
    PMINTCLR = 0x198,
    PMCCNTR = 0x1A0,
    PMCCNTR_CFG = 0x1A8,
    PMEVCNTR = 0x300,
    PMEVTYPER = 0x380,
};

/* CMD bits 2 and 3 would let the NPU drop its clock and power between runs, and with them the
 * counters: they stay 0. */
#define CMD_RUN 1u
#define CMD_CLEAR_IRQ 2u
#define RESET_PRIVILEGED 1u
#define RESET_NON_SECURE 2u
#define PMCR_ENABLE 1u
#define PMCR_RESET_COUNTERS 6u
#define PMU_CYCLE_COUNTER (1u << 31)
#define PMU_ALL (PMU_CYCLE_COUNTER | ((1u << PMU_COUNTERS) - 1u))

/* A reset takes a few hundred NPU cycles. */
#define RESET_POLLS 1000000u

/* SysTick is the watchdog: it fires every million processor cycles. */
#define WATCHDOG_PERIOD 1000000u
#define SYSTICK_RUN 7u

static volatile uint32_t finished;
static volatile uint32_t finish_status;
static volatile uint32_t watchdog_ticks;

static uint32_t reg(uint32_t offset)
{
    return alias(NPU_BASE) + offset;
}

void npu_interrupt(void);
void systick_handler(void);

/* First of all stop the counters, so that they do not count our own latency. */
void npu_interrupt(void)
{
    write32(reg(PMCR), 0);
    finish_status = read32(reg(STATUS));
    write32(reg(CMD), CMD_CLEAR_IRQ);
    (void)read32(reg(STATUS)); /* the write has arrived before the handler returns */
    finished = 1;
}

void systick_handler(void)
{
    watchdog_ticks++;
}

uint32_t npu_id(void)
{
    return read32(reg(ID));
}

uint32_t npu_config(void)
{
    return read32(reg(CONFIG));
}

uint32_t npu_macs(void)
{
    return 1u << (npu_config() & 15u);
}

static bool reset(void)
{
    write32(reg(RESET), RESET_PRIVILEGED | (running_secure() ? 0u : RESET_NON_SECURE));
    for (uint32_t polls = 0; polls < RESET_POLLS; polls++) {
        if (!(read32(reg(STATUS)) & NPU_STATUS_RESET)) {
            return true;
        }
    }
    return false;
}

static void select_events(const struct job *job, const uint32_t *events, uint32_t count)
{
    write32(reg(PMCR), PMCR_RESET_COUNTERS);
    write32(reg(PMCNTENCLR), PMU_ALL);
    write32(reg(PMINTCLR), PMU_ALL);
    write32(reg(PMOVSCLR), PMU_ALL);
    write32(reg(PMCCNTR_CFG), job->cycle_start_event | job->cycle_stop_event << 16);
    for (uint32_t i = 0; i < count; i++) {
        write32(reg(PMEVTYPER + 4u * i), events[i]);
    }
    write32(reg(PMCNTENSET), PMU_CYCLE_COUNTER | ((1u << count) - 1u));
}

static void point(const struct job *job)
{
    for (uint32_t i = 0; i < AXI_LIMITS; i++) {
        write32(reg(AXI_LIMIT + 4u * i), job->axi_limit[i]);
    }
    write32(reg(REGIONCFG), job->regioncfg);
    for (uint32_t i = 0; i < REGIONS; i++) {
        const uint32_t base = job->region_base[i];
        write32(reg(BASEP + 8u * i), base == REGION_UNUSED ? 0u : alias(base));
        write32(reg(BASEP + 8u * i + 4u), 0);
    }
    write32(reg(QBASE), alias(JOB_ADDRESS + job->commands_offset));
    write32(reg(QBASE + 4u), 0);
    write32(reg(QSIZE), job->commands_bytes);
    write32(reg(QCONFIG), job->qconfig);
}

static bool wait(uint32_t megacycles)
{
    watchdog_ticks = 0;
    write32(SYSTICK_LOAD, WATCHDOG_PERIOD - 1u);
    write32(SYSTICK_VALUE, 0);
    write32(SYSTICK_CTRL, SYSTICK_RUN);
    /* An interrupt between the test and the sleep costs one tick at most, and no count. */
    while (!finished && watchdog_ticks < megacycles) {
        wait_for_interrupt();
    }
    write32(SYSTICK_CTRL, 0);
    return finished;
}

struct npu_result npu_run(const struct job *job, const uint32_t *events, uint32_t event_count)
{
    struct npu_result result = {.outcome = NPU_NO_RESET};
    if (!reset()) {
        result.status = read32(reg(STATUS));
        return result;
    }
    result.protection = read32(reg(PROT)) & 3u;
    if (result.protection != (RESET_PRIVILEGED | (running_secure() ? 0u : RESET_NON_SECURE))) {
        result.outcome = NPU_NO_ACCESS;
        return result;
    }
    write32(reg(CMD), 0);
    point(job);
    select_events(job, events, event_count);
    finished = 0;
    write32(NVIC_ICPR + NPU_IRQ / 32u * 4u, 1u << NPU_IRQ % 32u);
    write32(NVIC_ISER + NPU_IRQ / 32u * 4u, 1u << NPU_IRQ % 32u);
    memory_barrier();
    write32(reg(PMCR), PMCR_ENABLE);
    write32(reg(CMD), CMD_RUN);
    const bool in_time = wait(job->watchdog_megacycles);
    memory_barrier();

    result.qread = read32(reg(QREAD));
    if (!in_time) {
        result.status = read32(reg(STATUS));
        result.outcome = NPU_WATCHDOG;
        (void)reset();
        return result;
    }
    result.status = finish_status;
    result.overflow = read32(reg(PMOVSSET)) & PMU_ALL;
    /* 48 bits; stopped, so the halves belong together. */
    result.cycles = (uint64_t)(read32(reg(PMCCNTR + 4u)) & 0xFFFFu) << 32 | read32(reg(PMCCNTR));
    for (uint32_t i = 0; i < event_count; i++) {
        result.counters[i] = read32(reg(PMEVCNTR + 4u * i));
    }
    const bool sound = !(finish_status & NPU_STATUS_FAULTS) && finish_status & NPU_STATUS_END_REACHED;
    result.outcome = sound ? NPU_DONE : NPU_FAULT;
    return result;
}
