/* CRC-32 as in zlib and Ethernet (polynomial 0xEDB88320, reflected). */
#ifndef CRC32_H
#define CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Fill the tables; once, before anything else here. */
void crc32_prepare(void);

/* Continue a CRC over more bytes; start with 0. */
uint32_t crc32(uint32_t crc, const void *bytes, size_t count);

#endif
