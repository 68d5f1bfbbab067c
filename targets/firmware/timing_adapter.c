#include "timing_adapter.h"

#include "corstone300.h"
#include "memory.h"

enum { VERSION = 0x38 };

/* MAXR, MAXW, MAXRW, RLATENCY, WLATENCY, PULSE_ON, PULSE_OFF, BWCAP, PERFCTRL, MODE. */
static const uint8_t offsets[TIMING_REGISTERS] = {0x00, 0x04, 0x08, 0x0C, 0x10,
                                                  0x14, 0x18, 0x1C, 0x20, 0x28};

bool timing_program(uint32_t port, const uint32_t *values, struct timing_report *report)
{
    const uint32_t adapter = alias(TIMING_ADAPTER_BASE + port * TIMING_ADAPTER_STRIDE);
    *report = (struct timing_report){.version = read32(adapter + VERSION)};
    if (report->version != TIMING_ADAPTER_VERSION) {
        return false;
    }
    bool kept = true;
    for (uint32_t i = 0; i < TIMING_REGISTERS; i++) {
        write32(adapter + offsets[i], values[i]);
    }
    for (uint32_t i = 0; i < TIMING_REGISTERS; i++) {
        report->registers[i] = read32(adapter + offsets[i]);
        kept = kept && report->registers[i] == values[i];
    }
    return kept;
}
