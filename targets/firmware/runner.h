/* Runs one checked job and answers it. */
#ifndef RUNNER_H
#define RUNNER_H

#include <stdbool.h>

#include "job.h"

/* True if the job ran to its end and every pass agreed with the first. */
bool run_job(const struct image_header *image, uint32_t index);

#endif
