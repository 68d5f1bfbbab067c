/* The Ethos-U55: one command stream at a time, four PMU events a run. */
#ifndef NPU_H
#define NPU_H

#include <stdbool.h>
#include <stdint.h>

#include "job_format.h"

#define PMU_COUNTERS 4u

enum npu_status {
    NPU_STATUS_BUS_ABORT = 1u << 2,
    NPU_STATUS_RESET = 1u << 3,
    NPU_STATUS_PARSE_ERROR = 1u << 4,
    NPU_STATUS_END_REACHED = 1u << 5,
    NPU_STATUS_WEIGHT_FAULT = 1u << 7,
    NPU_STATUS_ECC_FAULT = 1u << 8,
    NPU_STATUS_FAULTS =
        NPU_STATUS_BUS_ABORT | NPU_STATUS_PARSE_ERROR | NPU_STATUS_WEIGHT_FAULT | NPU_STATUS_ECC_FAULT,
};

enum npu_outcome { NPU_DONE, NPU_FAULT, NPU_WATCHDOG, NPU_NO_RESET, NPU_NO_ACCESS };

struct npu_result {
    enum npu_outcome outcome;
    uint32_t status; /* as the interrupt found it */
    uint32_t qread;
    uint32_t protection;
    uint32_t overflow;
    uint64_t cycles;
    uint32_t counters[PMU_COUNTERS];
};

uint32_t npu_id(void);
uint32_t npu_config(void);

/* Multiply-accumulate units per cycle. */
uint32_t npu_macs(void);

/* Reset the NPU, run the job's command stream with up to four events counted, and wait for it. */
struct npu_result npu_run(const struct job *job, const uint32_t *events, uint32_t event_count);

#endif
