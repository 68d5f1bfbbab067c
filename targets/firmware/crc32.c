#include "crc32.h"

/* Four tables, made at start-up: four bytes a step, and no room taken in the image. */
static uint32_t tables[4][256];

void crc32_prepare(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1u ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
        }
        tables[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int table = 1; table < 4; table++) {
            const uint32_t before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][before & 0xFFu];
        }
    }
}

uint32_t crc32(uint32_t crc, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    crc = ~crc;
    for (; count && (uintptr_t)at % 4u; count--) {
        crc = crc >> 8 ^ tables[0][(crc ^ *at++) & 0xFFu];
    }
    for (; count >= 4; count -= 4, at += 4) {
        crc ^= *(const uint32_t *)(const void *)at;
        crc = tables[3][crc & 0xFFu] ^ tables[2][crc >> 8 & 0xFFu] ^
              tables[1][crc >> 16 & 0xFFu] ^ tables[0][crc >> 24];
    }
    for (; count; count--) {
        crc = crc >> 8 ^ tables[0][(crc ^ *at++) & 0xFFu];
    }
    return ~crc;
}
