#include "runner.h"

#include "corstone300.h"
#include "crc32.h"
#include "frame.h"
#include "memory.h"
#include "npu.h"
#include "timing_adapter.h"

/* Bytes of output in one frame: 256 characters of base64. */
#define CHUNK_BYTES 192u

struct run {
    const struct image_header *image;
    const struct job *job;
    uint32_t index;
    uint64_t cycles;      /* of the first pass */
    uint32_t outputs_crc; /* of the first pass */
    bool stable;
};

static void begin(const struct run *run, const char *text, const char *kind)
{
    frame_begin("job ");
    frame_decimal(run->index);
    frame_text(": ");
    frame_text(text);
    frame_kind(kind);
    frame_number("job", run->index);
}

static void begin_error(const struct run *run, const char *text, const char *code)
{
    begin(run, text, "error");
    frame_word("code", code);
}

static const uint8_t *arena(const struct run *run, uint32_t offset)
{
    return (const uint8_t *)(uintptr_t)alias(run->job->arena_address + offset);
}

static void copy(uint32_t to, const uint8_t *from, uint32_t count)
{
    uint8_t *target = (uint8_t *)(uintptr_t)alias(to);
    if (((uintptr_t)target | (uintptr_t)from) % 4u == 0) {
        for (; count >= 4u; count -= 4u, target += 4, from += 4) {
            *(uint32_t *)(void *)target = *(const uint32_t *)(const void *)from;
        }
    }
    while (count--) {
        *target++ = *from++;
    }
}

static void fill_arena(const struct run *run)
{
    const struct job *job = run->job;
    if (job->flags & JOB_FLAG_CLEAR_ARENA) {
        volatile uint32_t *words = (volatile uint32_t *)(uintptr_t)alias(job->arena_address);
        for (uint32_t i = 0; i < job->arena_bytes / 4u; i++) {
            words[i] = 0;
        }
    }
    const struct job_input *inputs = image_at(run->image, job->inputs_offset);
    for (uint32_t i = 0; i < job->inputs_count; i++) {
        copy(job->arena_address + inputs[i].arena_offset,
             image_at(run->image, inputs[i].image_offset), inputs[i].bytes);
    }
    memory_barrier();
}

static uint32_t outputs_crc(const struct run *run)
{
    const struct job_output *outputs = image_at(run->image, run->job->outputs_offset);
    uint32_t crc = 0;
    for (uint32_t i = 0; i < run->job->outputs_count; i++) {
        crc = crc32(crc, arena(run, outputs[i].arena_offset), outputs[i].bytes);
    }
    return crc;
}

static const char *channel(uint32_t status)
{
    switch (status >> 12 & 15u) {
    case 0:
        return "command read";
    case 1:
        return "IFM read";
    case 2:
        return "weight read";
    case 3:
        return "scale and bias read";
    case 4:
        return "DMA read";
    case 8:
        return "OFM write";
    case 9:
        return "DMA write";
    default:
        return "unknown";
    }
}

static void report_fault(const struct run *run, const struct npu_result *result)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } faults[] = {{NPU_STATUS_BUS_ABORT, "bus abort"},
                  {NPU_STATUS_PARSE_ERROR, "command parse error"},
                  {NPU_STATUS_WEIGHT_FAULT, "weight decoder fault"},
                  {NPU_STATUS_ECC_FAULT, "ECC fault"}};
    begin_error(run, "the NPU reports a fault", "npu_fault");
    frame_number("status", result->status);
    frame_number("qread", result->qread);
    frame_list("faults");
    for (uint32_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (result->status & faults[i].bit) {
            frame_list_word(faults[i].name);
        }
    }
    if (!(result->status & NPU_STATUS_END_REACHED)) {
        frame_list_word("end not reached");
    }
    frame_list_end();
    if (result->status & NPU_STATUS_BUS_ABORT) {
        frame_number("port", result->status >> 11 & 1u);
        frame_word("channel", channel(result->status));
    }
    frame_send();
}

static void report_failure(const struct run *run, const struct npu_result *result)
{
    switch (result->outcome) {
    case NPU_FAULT:
        report_fault(run, result);
        return;
    case NPU_WATCHDOG:
        begin_error(run, "the NPU did not finish in time", "watchdog");
        frame_number("megacycles", run->job->watchdog_megacycles);
        frame_number("qread", result->qread);
        break;
    case NPU_NO_ACCESS:
        begin_error(run, "the NPU refuses our security state", "npu_access");
        frame_number("protection", result->protection);
        break;
    case NPU_NO_RESET:
    case NPU_DONE:
        begin_error(run, "the NPU does not come out of reset", "npu_reset");
        break;
    }
    frame_number("status", result->status);
    frame_send();
}

static bool program_timing(const struct run *run)
{
    for (uint32_t port = 0; port < PORTS; port++) {
        if (!(run->job->timing_ports >> port & 1u)) {
            continue;
        }
        struct timing_report report;
        const bool kept = timing_program(port, run->job->timing[port], &report);
        if (kept) {
            begin(run, "timing adapter programmed", "timing");
        } else {
            begin_error(run, "the timing adapter cannot be programmed", "timing_adapter");
            frame_number("expected", TIMING_ADAPTER_VERSION);
        }
        frame_number("port", port);
        frame_number("version", report.version);
        frame_list("registers");
        for (uint32_t i = 0; i < TIMING_REGISTERS; i++) {
            frame_list_number(report.registers[i]);
        }
        frame_list_end();
        frame_send();
        if (!kept) {
            return false;
        }
    }
    return true;
}

static bool prepare(const struct run *run)
{
    const struct job *job = run->job;
    if (npu_macs() != job->macs) {
        begin_error(run, "compiled for another number of MACs/cc", "macs_mismatch");
        frame_number("npu_macs", npu_macs());
        frame_number("job_macs", job->macs);
        frame_send();
        return false;
    }
    if (!memory_open(job->arena_address, job->arena_bytes) ||
        (job->flash_address && !memory_open(job->flash_address, job->flash_bytes))) {
        begin_error(run, "memory of the job does not keep what is written", "memory");
        frame_number("arena", job->arena_address);
        frame_number("flash", job->flash_address);
        frame_send();
        return false;
    }
    if (job->flash_address) {
        copy(job->flash_address, image_at(run->image, job->flash_offset), job->flash_bytes);
    }
    return program_timing(run);
}

static bool run_pass(struct run *run, uint32_t repetition, uint32_t pass, const uint32_t *events,
                     uint32_t count)
{
    fill_arena(run);
    const struct npu_result result = npu_run(run->job, events, count);
    if (result.outcome != NPU_DONE) {
        report_failure(run, &result);
        return false;
    }
    const uint32_t crc = outputs_crc(run);
    if (repetition == 0 && pass == 0) {
        run->cycles = result.cycles;
        run->outputs_crc = crc;
    }
    run->stable = run->stable && result.cycles == run->cycles && crc == run->outputs_crc;
    frame_begin("job ");
    frame_decimal(run->index);
    frame_text(": ");
    frame_decimal(result.cycles);
    frame_text(" NPU cycles");
    frame_kind("pass");
    frame_number("job", run->index);
    frame_number("repetition", repetition);
    frame_number("pass", pass);
    frame_number("status", result.status);
    frame_number("cycles", result.cycles);
    frame_number("overflow", result.overflow);
    frame_number("outputs_crc32", crc);
    frame_list("events");
    for (uint32_t i = 0; i < count; i++) {
        frame_list_pair(events[i], result.counters[i]);
    }
    frame_list_end();
    frame_send();
    return true;
}

static bool run_passes(struct run *run)
{
    const uint32_t *events = image_at(run->image, run->job->events_offset);
    const uint32_t count = run->job->events_count;
    for (uint32_t repetition = 0; repetition < run->job->repetitions; repetition++) {
        uint32_t done = 0;
        uint32_t pass = 0;
        do {
            const uint32_t now = count - done < PMU_COUNTERS ? count - done : PMU_COUNTERS;
            if (!run_pass(run, repetition, pass, events + done, now)) {
                return false;
            }
            done += now;
            pass++;
        } while (done < count);
    }
    return true;
}

static void report_outputs(const struct run *run)
{
    const struct job_output *outputs = image_at(run->image, run->job->outputs_offset);
    for (uint32_t i = 0; i < run->job->outputs_count; i++) {
        const uint8_t *bytes = arena(run, outputs[i].arena_offset);
        const uint32_t total = outputs[i].mode == OUTPUT_BYTES ? outputs[i].bytes : 0u;
        for (uint32_t at = 0; at < total; at += CHUNK_BYTES) {
            begin(run, "output", "data");
            frame_number("output", i);
            frame_number("at", at);
            frame_base64("base64", bytes + at, total - at < CHUNK_BYTES ? total - at : CHUNK_BYTES);
            frame_send();
        }
        begin(run, "output complete", "output");
        frame_number("output", i);
        frame_number("bytes", outputs[i].bytes);
        frame_number("sent", total);
        frame_number("crc32", crc32(0, bytes, outputs[i].bytes));
        frame_send();
    }
}

bool run_job(const struct image_header *image, uint32_t index)
{
    struct run run = {
        .image = image, .job = image_job(image, index), .index = index, .stable = true};
    begin(&run, "starts", "job");
    frame_string("name", image_at(image, run.job->name_offset), run.job->name_bytes);
    frame_number("macs", run.job->macs);
    frame_send();
    const bool done = prepare(&run) && run_passes(&run);
    if (done) {
        report_outputs(&run);
    }
    begin(&run, done ? "done" : "failed", "result");
    frame_flag("ok", done);
    frame_flag("stable", done && run.stable);
    frame_send();
    return done && run.stable;
}
