/* Finding and checking the job image: nothing in it is believed before it was checked. */
#ifndef JOB_H
#define JOB_H

#include <stdbool.h>

#include "job_format.h"

struct image_check {
    const char *error; /* an error code, or NULL for a sound image */
    const char *field; /* what is wrong with a "bad_job" */
    uint32_t job;      /* in which job, or NO_JOB */
    uint32_t expected;
    uint32_t found;
};

#define NO_JOB 0xFFFFFFFFu

/* The image, where its magic is found; opens the memory if needed. */
const struct image_header *image_find(void);

struct image_check image_check(const struct image_header *image);

const struct job *image_job(const struct image_header *image, uint32_t index);

/* Where the NPU finds a job's flash image, in non-secure form. */
uint32_t job_flash_address(const struct job *job);

static inline const void *image_at(const struct image_header *image, uint32_t offset)
{
    return (const uint8_t *)image + offset;
}

#endif
