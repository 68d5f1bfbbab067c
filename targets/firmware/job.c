#include "job.h"

#include <stddef.h>

#include "corstone300.h"
#include "crc32.h"
#include "memory.h"

/* The NPU wants its command stream and the base of a region at 16 bytes. */
#define NPU_ALIGNMENT 16u

const struct image_header *image_find(void)
{
    const uint32_t at = alias(JOB_ADDRESS);
    const struct image_header *image = (const struct image_header *)(uintptr_t)at;
    if (image->magic != JOB_MAGIC && !memory_open(JOB_ADDRESS, sizeof *image)) {
        return NULL;
    }
    return image->magic == JOB_MAGIC ? image : NULL;
}

const struct job *image_job(const struct image_header *image, uint32_t index)
{
    return (const struct job *)image_at(image, image->jobs_offset) + index;
}

uint32_t job_flash_address(const struct job *job)
{
    return job->flash_address ? job->flash_address : JOB_ADDRESS + job->flash_offset;
}

/* Whether `count` records of `size` bytes lie at `offset` within the image's contents. */
static bool holds(const struct image_header *image, uint32_t offset, uint32_t count, uint32_t size)
{
    const uint32_t contents = image->total_bytes - (uint32_t)sizeof(uint32_t);
    return (size == 1 || offset % 4u == 0) && count <= contents / size &&
           within(0, contents, offset, count * size);
}

static bool zeros(const uint32_t *words, size_t count)
{
    while (count) {
        if (words[--count]) {
            return false;
        }
    }
    return true;
}

static bool name_sound(const struct image_header *image, const struct job *job)
{
    if (job->name_bytes > JOB_NAME_MAX || !holds(image, job->name_offset, job->name_bytes, 1)) {
        return false;
    }
    const char *name = image_at(image, job->name_offset);
    for (uint32_t i = 0; i < job->name_bytes; i++) {
        const char c = name[i];
        /* It is echoed inside JSON and beside it: nothing that would need escaping. */
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.')) {
            return false;
        }
    }
    return true;
}

static bool arena_sound(const struct image_header *image, const struct job *job)
{
    return job->arena_address % NPU_ALIGNMENT == 0 && job->arena_bytes % 4u == 0 &&
           npu_reaches(job->arena_address, job->arena_bytes) &&
           !overlap(JOB_ADDRESS, image->total_bytes, job->arena_address, job->arena_bytes);
}

static bool flash_sound(const struct image_header *image, const struct job *job)
{
    if (!holds(image, job->flash_offset, job->flash_bytes, 1) ||
        job->flash_offset % NPU_ALIGNMENT) {
        return false;
    }
    return !job->flash_address ||
           (job->flash_address % NPU_ALIGNMENT == 0 && job->flash_bytes % 4u == 0 &&
            npu_reaches(job->flash_address, job->flash_bytes) &&
            !overlap(JOB_ADDRESS, image->total_bytes, job->flash_address, job->flash_bytes) &&
            !overlap(job->arena_address, job->arena_bytes, job->flash_address, job->flash_bytes));
}

static bool regions_sound(const struct image_header *image, const struct job *job)
{
    for (uint32_t i = 0; i < REGIONS; i++) {
        const uint32_t base = job->region_base[i];
        if (base == REGION_UNUSED) {
            continue;
        }
        if (base % NPU_ALIGNMENT ||
            !(within(job->arena_address, job->arena_bytes, base, 1) ||
              within(job_flash_address(job), job->flash_bytes, base, 1) ||
              within(JOB_ADDRESS, image->total_bytes, base, 1))) {
            return false;
        }
    }
    return true;
}

static bool events_sound(const struct image_header *image, const struct job *job)
{
    if (job->events_count > JOB_EVENTS_MAX ||
        !holds(image, job->events_offset, job->events_count, sizeof(uint32_t))) {
        return false;
    }
    const uint32_t *events = image_at(image, job->events_offset);
    for (uint32_t i = 0; i < job->events_count; i++) {
        if (events[i] > JOB_EVENT_LAST) {
            return false;
        }
    }
    return job->cycle_start_event <= JOB_EVENT_LAST && job->cycle_stop_event <= JOB_EVENT_LAST;
}

static bool inputs_sound(const struct image_header *image, const struct job *job)
{
    if (job->inputs_count > JOB_TRANSFERS_MAX ||
        !holds(image, job->inputs_offset, job->inputs_count, sizeof(struct job_input))) {
        return false;
    }
    const struct job_input *inputs = image_at(image, job->inputs_offset);
    for (uint32_t i = 0; i < job->inputs_count; i++) {
        if (!within(0, job->arena_bytes, inputs[i].arena_offset, inputs[i].bytes) ||
            !holds(image, inputs[i].image_offset, inputs[i].bytes, 1)) {
            return false;
        }
    }
    return true;
}

static bool outputs_sound(const struct image_header *image, const struct job *job)
{
    if (job->outputs_count > JOB_TRANSFERS_MAX ||
        !holds(image, job->outputs_offset, job->outputs_count, sizeof(struct job_output))) {
        return false;
    }
    const struct job_output *outputs = image_at(image, job->outputs_offset);
    for (uint32_t i = 0; i < job->outputs_count; i++) {
        if (!within(0, job->arena_bytes, outputs[i].arena_offset, outputs[i].bytes) ||
            outputs[i].mode > OUTPUT_CRC32) {
            return false;
        }
    }
    return true;
}

/* The first field of a job that is wrong, or NULL. */
static const char *wrong_field(const struct image_header *image, const struct job *job)
{
    if (!name_sound(image, job)) {
        return "name";
    }
    if (!job->commands_bytes || !holds(image, job->commands_offset, job->commands_bytes / 4u, 4) ||
        job->commands_bytes % 4u || job->commands_offset % NPU_ALIGNMENT) {
        return "commands";
    }
    if (!arena_sound(image, job)) {
        return "arena";
    }
    if (!flash_sound(image, job)) {
        return "flash";
    }
    if (!regions_sound(image, job)) {
        return "regions";
    }
    if (job->regioncfg > 0xFFFFu || job->qconfig > 3u) {
        return "ports";
    }
    if (!events_sound(image, job)) {
        return "events";
    }
    if (!inputs_sound(image, job)) {
        return "inputs";
    }
    if (!outputs_sound(image, job)) {
        return "outputs";
    }
    if (!job->repetitions || !job->watchdog_megacycles) {
        return "limits";
    }
    if (job->flags & ~JOB_FLAG_CLEAR_ARENA || job->timing_ports >> PORTS ||
        !zeros(job->reserved, sizeof job->reserved / sizeof job->reserved[0])) {
        return "reserved";
    }
    return NULL;
}

struct image_check image_check(const struct image_header *image)
{
    struct image_check check = {.job = NO_JOB};
    if (image->format != JOB_FORMAT_VERSION) {
        check.error = "bad_format";
        check.expected = JOB_FORMAT_VERSION;
        check.found = image->format;
        return check;
    }
    if (image->total_bytes % 4u || image->total_bytes <= sizeof *image ||
        image->total_bytes > JOB_BYTES_MAX) {
        check.error = "bad_length";
        check.expected = JOB_BYTES_MAX;
        check.found = image->total_bytes;
        return check;
    }
    const uint32_t contents = image->total_bytes - (uint32_t)sizeof(uint32_t);
    check.expected = *(const uint32_t *)image_at(image, contents);
    check.found = crc32(0, image, contents);
    if (check.found != check.expected) {
        check.error = "bad_crc";
        return check;
    }
    if (!image->job_count || image->flags & ~IMAGE_FLAG_SEMIHOSTING ||
        !holds(image, image->jobs_offset, image->job_count, sizeof(struct job)) ||
        !zeros(image->reserved, sizeof image->reserved / sizeof image->reserved[0])) {
        check.error = "bad_job";
        check.field = "header";
        return check;
    }
    for (uint32_t i = 0; i < image->job_count; i++) {
        check.field = wrong_field(image, image_job(image, i));
        if (check.field) {
            check.error = "bad_job";
            check.job = i;
            return check;
        }
    }
    return check;
}
