/* The job image, as `targets/jobs/image.py` writes it. Little-endian 32-bit words; offsets count
 * bytes from the image's first byte; addresses are in non-secure form. */
#ifndef JOB_FORMAT_H
#define JOB_FORMAT_H

#include <stdint.h>

#define JOB_MAGIC 0x314A5545u /* "EUJ1" */
#define JOB_FORMAT_VERSION 1u
#define JOB_NAME_MAX 120u
#define JOB_EVENTS_MAX 256u
#define JOB_TRANSFERS_MAX 256u
#define JOB_EVENT_LAST 1023u
#define REGIONS 8u
#define AXI_LIMITS 4u
#define PORTS 2u
#define TIMING_REGISTERS 10u
#define REGION_UNUSED 0xFFFFFFFFu

#define IMAGE_FLAG_SEMIHOSTING 1u
#define JOB_FLAG_CLEAR_ARENA 1u

enum output_mode { OUTPUT_BYTES = 0, OUTPUT_CRC32 = 1 };

/* The image ends with the CRC-32 of everything before it. */
struct image_header {
    uint32_t magic;
    uint32_t format;
    uint32_t total_bytes;
    uint32_t flags;
    uint32_t uart_divider; /* 0 = the usual one */
    uint32_t job_count;
    uint32_t jobs_offset;
    uint32_t reserved[9];
};

struct job_input {
    uint32_t arena_offset;
    uint32_t image_offset;
    uint32_t bytes;
};

struct job_output {
    uint32_t arena_offset;
    uint32_t bytes;
    uint32_t mode;
};

struct job {
    uint32_t name_offset;
    uint32_t name_bytes;
    uint32_t macs;
    uint32_t commands_offset;
    uint32_t commands_bytes;
    uint32_t flash_offset;
    uint32_t flash_bytes;
    uint32_t flash_address; /* where the flash image is copied to; 0 = it stays in the image */
    uint32_t arena_address;
    uint32_t arena_bytes;
    uint32_t flags;
    uint32_t repetitions;
    uint32_t watchdog_megacycles;
    uint32_t qconfig;
    uint32_t regioncfg;
    uint32_t axi_limit[AXI_LIMITS];
    uint32_t region_base[REGIONS];
    uint32_t cycle_start_event;
    uint32_t cycle_stop_event;
    uint32_t events_offset;
    uint32_t events_count;
    uint32_t inputs_offset;
    uint32_t inputs_count;
    uint32_t outputs_offset;
    uint32_t outputs_count;
    uint32_t timing_ports; /* bit n: program timing adapter n */
    uint32_t timing[PORTS][TIMING_REGISTERS];
    uint32_t reserved[8];
};

_Static_assert(sizeof(struct image_header) == 64, "image header");
_Static_assert(sizeof(struct job) == 256, "job record");

#endif
