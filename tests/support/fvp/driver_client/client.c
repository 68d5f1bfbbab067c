/* Programs that use the NPU as its users' do, one for each habit. What they see goes to REPORT. */
#include "corstone300.h"
#include "driver.h"

#define REQUEST_ADDRESS 0x60000000u
/* A count, and that many words. */
#define REPORT_ADDRESS 0x60001000u
#define REPORT_WORDS 64u
#define SCB_SCR 0xE000ED10u
#define SCR_SEVONPEND (1u << 4)
#define SYSTICK_RUN 7u

extern uint32_t bss_start, bss_end, stack_top;

typedef void (*vector)(void);

void reset_handler(void);
void npu_handler(void);
void systick_handler(void);
void fault_handler(void);
void start(void);

static volatile uint32_t ticks;

static const struct request *request(void)
{
    return (const struct request *)(uintptr_t)REQUEST_ADDRESS;
}

static __attribute__((noreturn)) void leave(void);

static void note(uint32_t value)
{
    const uint32_t count = read32(REPORT_ADDRESS);
    if (count == REPORT_WORDS) {
        leave();
    }
    write32(REPORT_ADDRESS + 4 + 4 * count, value);
    write32(REPORT_ADDRESS, count + 1);
}

static __attribute__((noreturn)) void leave(void)
{
    register uint32_t operation __asm__("r0") = 0x18;
    register uint32_t reason __asm__("r1") = 0x20026;
    __asm__ volatile("bkpt 0xAB" : : "r"(operation), "r"(reason) : "memory");
    for (;;) {
    }
}

void npu_handler(void)
{
    driver_interrupt();
}

void systick_handler(void)
{
    ticks++;
}

void fault_handler(void)
{
    note(0xDEADu);
    leave();
}

static void start_systick(uint32_t cycles)
{
    write32(SYSTICK_LOAD, cycles - 1);
    write32(SYSTICK_VALUE, 0);
    write32(SYSTICK_CTRL, cycles ? SYSTICK_RUN : 0);
}

/* WFE and SEV, as in the default semaphore of Arm's driver. */
static void sleep_on_semaphore(void)
{
    for (uint32_t run = 0; run < 2; run++) {
        driver_start(request());
        note(driver_wait());
        note(driver.interrupts);
        note(driver.status);
        note(driver.qread);
    }
}

/* Interrupts are masked from the test of the flag to the sleep, so none can slip in between. */
static void sleep_without_a_race(void)
{
    start_systick(request()->systick_cycles);
    for (uint32_t run = 1; run <= 2; run++) {
        __asm__ volatile("cpsid i" ::: "memory");
        driver_start(request());
        while (driver.interrupts < run) {
            __asm__ volatile("dsb\n wfi" ::: "memory");
            note(driver.interrupts);
            __asm__ volatile("cpsie i\n isb\n cpsid i" ::: "memory");
        }
        __asm__ volatile("cpsie i" ::: "memory");
        note(driver.interrupts);
        note(driver.succeeded);
    }
    start_systick(0);
    note(ticks);
}

/* The same through PRIMASK saved and restored, as critical sections do it. */
static void sleep_in_a_critical_section(void)
{
    uint32_t primask;
    __asm__ volatile("mrs %0, primask\n cpsid i" : "=r"(primask)::"memory");
    driver_start(request());
    __asm__ volatile("wfi" ::: "memory");
    note(driver.interrupts);
    __asm__ volatile("msr primask, %0\n isb" ::"r"(primask) : "memory");
    note(driver.interrupts);
}

/* A masked WFE wakes for a pending interrupt if SEVONPEND is set. */
static void sleep_until_something_is_pending(void)
{
    write32(SCB_SCR, SCR_SEVONPEND);
    __asm__ volatile("cpsid i" ::: "memory");
    driver_start(request());
    __asm__ volatile("wfe" ::: "memory");
    note(driver.interrupts);
    __asm__ volatile("cpsie i\n isb" ::: "memory");
    note(driver.interrupts);
}

/* SEV sets the event register, which the next WFE clears instead of sleeping. */
static void send_events(void)
{
    __asm__ volatile("sev\n wfe" ::: "memory");
    note(1);
    __asm__ volatile("sev.w\n sev\n yield\n wfe.w" ::: "memory");
    note(2);
    driver_start(request());
    __asm__ volatile("wfe" ::: "memory");
    note(driver.interrupts);
    /* The interrupt itself has set the event register. */
    __asm__ volatile("wfe" ::: "memory");
    note(3);
    /* Nothing will ever wake this one. */
    __asm__ volatile("wfe" ::: "memory");
    note(4);
}

/* Fault, start again without a reset, reset. */
static void see_a_fault(void)
{
    for (uint32_t run = 0; run < 2; run++) {
        driver_start(request());
        note(driver_wait());
        note(driver.status_before_clear);
        note(driver.status);
        note(driver.qread);
    }
    note(driver_reset(request()));
    note(npu_read(NPU_STATUS));
}

static void count_until_overflow(void)
{
    npu_write(NPU_PMCR, 1);
    npu_write(NPU_PMCR, npu_read(NPU_PMCR) | 6u);
    npu_write(NPU_PMEVTYPER, request()->event);
    npu_write(NPU_PMEVCNTR, request()->preset);
    npu_write(NPU_PMCCNTR, 0xFFFFFFFFu);
    npu_write(NPU_PMCCNTR + 4, 0xFFFFu);
    npu_write(NPU_PMINTSET, 1);
    npu_write(NPU_PMCNTENSET, PMU_CYCLE_COUNTER | 1u);
    for (uint32_t run = 0; run < 2; run++) {
        driver_start(request());
        note(driver_wait());
        note(driver.status_before_clear);
        note(driver.status);
        note(npu_read(NPU_PMOVSSET));
        npu_write(NPU_PMOVSCLR, npu_read(NPU_PMOVSSET));
        note(npu_read(NPU_PMOVSSET));
        note(npu_read(NPU_PMEVCNTR));
    }
    note(npu_read(NPU_PMCR) >> 11 & 31u);
    note(npu_read(NPU_PMINTSET));
    /* Software may set an overflow bit itself. */
    npu_write(NPU_PMOVSSET, 1);
    __asm__ volatile("wfi" ::: "memory");
    note(driver.status_before_clear);
}

static void count_cycles(void)
{
    static const uint32_t events[] = {17, 35, 32, 0};
    npu_write(NPU_PMCCNTR_CFG, request()->cycle_config);
    for (uint32_t i = 0; i < 4; i++) {
        npu_write(NPU_PMEVTYPER + 4 * i, events[i]);
    }
    npu_write(NPU_PMCNTENSET, PMU_CYCLE_COUNTER | 15u);
    npu_write(NPU_PMCR, 1);
    start_systick(request()->systick_cycles);
    __asm__ volatile("wfi" ::: "memory");
    driver_start(request());
    note(driver_wait());
    __asm__ volatile("wfi\n wfi" ::: "memory");
    start_systick(0);
    npu_write(NPU_PMCR, 0);
    note(ticks);
    note(npu_read(NPU_PMCCNTR));
    for (uint32_t i = 0; i < 4; i++) {
        note(npu_read(NPU_PMEVCNTR + 4 * i));
    }
}

static void identify(void)
{
    for (uint32_t offset = NPU_PID4; offset < 0x1000; offset += 4) {
        npu_write(offset, ~0u);
        note(npu_read(offset));
    }
}

static void (*const scenarios[])(void) = {
    sleep_on_semaphore, sleep_without_a_race,  sleep_in_a_critical_section,
    sleep_until_something_is_pending,          send_events,
    see_a_fault,        count_until_overflow,  count_cycles,
    identify,
};

extern const vector vectors[];

void start(void)
{
    write32(SCB_VTOR, (uint32_t)(uintptr_t)vectors);
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
    write32(NVIC_ISER + NPU_IRQ / 32u * 4u, 1u << NPU_IRQ % 32u);
    __asm__ volatile("cpsie i" ::: "memory");
    if (driver_reset(request())) {
        scenarios[request()->scenario]();
    }
    leave();
}

__attribute__((naked, noreturn)) void reset_handler(void)
{
    __asm__ volatile("ldr r0, =stack_top\n"
                     "msr msp, r0\n"
                     "bl start\n"
                     "b .\n");
}

__attribute__((section(".vectors"), used, aligned(512))) const vector vectors[16 + NPU_IRQ + 1] = {
    (vector)&stack_top,
    reset_handler,
    fault_handler,
    fault_handler,
    fault_handler,
    fault_handler,
    fault_handler,
    fault_handler,
    [15] = systick_handler,
    [16 + NPU_IRQ] = npu_handler,
};
