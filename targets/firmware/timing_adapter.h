/* Arm's timing adapters: they slow the memory down at the NPU's two AXI ports. */
#ifndef TIMING_ADAPTER_H
#define TIMING_ADAPTER_H

#include <stdbool.h>
#include <stdint.h>

#include "job_format.h"

/* What the version register of every known adapter reads. */
#define TIMING_ADAPTER_VERSION 0x1117u

struct timing_report {
    uint32_t version;
    uint32_t registers[TIMING_REGISTERS]; /* as read back */
};

/* Program the adapter of a port. False if there is none, or it did not keep the values. */
bool timing_program(uint32_t port, const uint32_t *values, struct timing_report *report);

#endif
