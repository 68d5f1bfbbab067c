#include "memory.h"

#include "corstone300.h"

/* Registers of Arm's memory protection controllers (SIE-200/SIE-300). */
enum { MPC_BLOCK_MAX = 0x10, MPC_BLOCK_INDEX = 0x18, MPC_BLOCK_TABLE = 0x1C };

static uint32_t alias_bit;

void memory_prepare(void)
{
    /* TT reports an address's security attribute, and only to secure code. */
    uint32_t target;
    __asm__ volatile("tt %0, %1" : "=r"(target) : "r"(0u));
    alias_bit = target >> 22 & 1u ? SECURE_ALIAS : 0u;
}

bool running_secure(void)
{
    return alias_bit != 0;
}

uint32_t alias(uint32_t address)
{
    return address | alias_bit;
}

bool within(uint32_t outer, uint32_t outer_bytes, uint32_t inner, uint32_t inner_bytes)
{
    return inner >= outer && inner - outer <= outer_bytes &&
           inner_bytes <= outer_bytes - (inner - outer);
}

bool overlap(uint32_t a, uint32_t a_bytes, uint32_t b, uint32_t b_bytes)
{
    return a_bytes && b_bytes && (a < b ? b - a < a_bytes : a - b < b_bytes);
}

static bool in_ddr(uint32_t address, uint32_t bytes)
{
    for (uint32_t bank = 0x60000000u; bank <= 0xC0000000u; bank += 0x20000000u) {
        if (within(bank, DDR_BYTES, address, bytes)) {
            return true;
        }
    }
    return false;
}

bool npu_reaches(uint32_t address, uint32_t bytes)
{
    return within(BRAM_BASE, BRAM_BYTES, address, bytes) ||
           within(ISRAM_BASE, ISRAM_BYTES, address, bytes) || in_ddr(address, bytes);
}

static bool keeps_words(uint32_t address)
{
    const uint32_t before = read32(address);
    write32(address, ~before);
    memory_barrier();
    const bool kept = read32(address) == ~before;
    write32(address, before);
    memory_barrier();
    return kept;
}

static bool reachable(uint32_t address, uint32_t bytes)
{
    const uint32_t first = alias(address) & ~3u;
    const uint32_t last = (alias(address) + bytes - 1u) & ~3u;
    return keeps_words(first) && keeps_words(last);
}

static void give_to_secure(uint32_t mpc)
{
    const uint32_t last = read32(mpc + MPC_BLOCK_MAX);
    for (uint32_t index = 0; index <= last; index++) {
        write32(mpc + MPC_BLOCK_INDEX, index);
        write32(mpc + MPC_BLOCK_TABLE, 0);
    }
    memory_barrier();
}

bool memory_open(uint32_t address, uint32_t bytes)
{
    if (!bytes || reachable(address, bytes)) {
        return true;
    }
    if (!running_secure()) {
        return false;
    }
    if (in_ddr(address, bytes)) {
        give_to_secure(MPC_DDR);
    } else if (within(BRAM_BASE, BRAM_BYTES, address, bytes)) {
        give_to_secure(MPC_BRAM);
    } else {
        give_to_secure(MPC_ISRAM0);
        give_to_secure(MPC_ISRAM1);
    }
    return reachable(address, bytes);
}
