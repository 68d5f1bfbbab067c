/* The bench's firmware: it knows no model. It reads a job image from memory, runs each job on the
 * NPU, and answers over UART0. */
#include <stdbool.h>
#include <stddef.h>

#include "corstone300.h"
#include "crc32.h"
#include "frame.h"
#include "job.h"
#include "memory.h"
#include "npu.h"
#include "runner.h"
#include "uart.h"

#define FIRMWARE_VERSION "1.0.0"
#define SYS_EXIT_EXTENDED 0x20u
#define APPLICATION_EXIT 0x20026u

int main(void);
void processor_fault(void);

/* Set before anything can fail: whether a debugger is there to take a semihosting call. */
static bool semihosting;

static void exit_by_semihosting(uint32_t code)
{
    const uint32_t block[2] = {APPLICATION_EXIT, code};
    register uint32_t operation __asm__("r0") = SYS_EXIT_EXTENDED;
    register const void *parameter __asm__("r1") = block;
    __asm__ volatile("bkpt 0xAB" : "+r"(operation) : "r"(parameter) : "memory");
}

/* The end of everything: the simulator's two ways to stop, then nothing. */
_Noreturn static void finish(uint32_t jobs, uint32_t failed)
{
    frame_begin("end");
    frame_kind("end");
    frame_number("jobs", jobs);
    frame_number("failed", failed);
    frame_number("frames", frame_count() + 1u);
    frame_send();
    static const char ending[] = "\x04" "EXITTHESIM\r\n";
    uart_write(ending, sizeof ending - 1);
    uart_drain();
    if (semihosting) {
        exit_by_semihosting(failed || !jobs ? 1u : 0u);
    }
    for (;;) {
        wait_for_interrupt();
    }
}

static void hello(void)
{
    frame_begin("Ethos-U55 regression bench firmware " FIRMWARE_VERSION);
    frame_kind("hello");
    frame_word("firmware", FIRMWARE_VERSION);
    frame_number("format", JOB_FORMAT_VERSION);
    frame_flag("secure", running_secure());
    frame_number("cpuid", read32(SCB_CPUID));
    frame_send();
}

static void report_npu(void)
{
    frame_begin("Ethos-U55, ");
    frame_decimal(npu_macs());
    frame_text(" MACs/cc");
    frame_kind("npu");
    frame_number("id", npu_id());
    frame_number("config", npu_config());
    frame_number("macs", npu_macs());
    frame_send();
}

static void report_bad_image(const struct image_check *check)
{
    frame_begin("the job image cannot be used");
    frame_kind("error");
    frame_word("code", check->error);
    if (check->job != NO_JOB) {
        frame_number("job", check->job);
    }
    if (check->field) {
        frame_word("field", check->field);
    } else {
        frame_number("expected", check->expected);
        frame_number("found", check->found);
    }
    frame_send();
}

static void report_missing(const char *text, const char *code)
{
    frame_begin(text);
    frame_kind("error");
    frame_word("code", code);
    frame_send();
}

/* An exception that should not happen: say where, and end. */
void processor_fault(void)
{
    frame_begin("the processor faulted");
    frame_kind("error");
    frame_word("code", "processor_fault");
    frame_number("cfsr", read32(SCB_CFSR));
    frame_number("hfsr", read32(SCB_HFSR));
    frame_number("address", read32(SCB_BFAR));
    frame_send();
    finish(0, 0);
}

int main(void)
{
    memory_prepare();
    crc32_prepare();
    uart_open(UART_DEFAULT_DIVIDER);
    const struct image_header *image = image_find();
    struct image_check check = {.error = NULL};
    if (image) {
        check = image_check(image);
        if (!check.error) {
            semihosting = image->flags & IMAGE_FLAG_SEMIHOSTING;
            uart_open(image->uart_divider ? image->uart_divider : UART_DEFAULT_DIVIDER);
        }
    }
    hello();
    if (!npu_id()) {
        report_missing("there is no NPU at its address", "no_npu");
        finish(0, 0);
    }
    report_npu();
    if (!image) {
        report_missing("there is no job image at its address", "no_job");
        finish(0, 0);
    }
    if (check.error) {
        report_bad_image(&check);
        finish(0, 0);
    }
    uint32_t failed = 0;
    for (uint32_t i = 0; i < image->job_count; i++) {
        failed += !run_job(image, i);
    }
    finish(image->job_count, failed);
}
