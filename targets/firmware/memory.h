/* Security aliases, protection controllers, and which memories the NPU can reach. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* Find out in which security state we run; once, before anything else here. */
void memory_prepare(void);

bool running_secure(void);

/* The address at which `address` (non-secure form) is reached from our security state. */
uint32_t alias(uint32_t address);

/* Whether [address, address + bytes) lies within one memory that the NPU reaches. */
bool npu_reaches(uint32_t address, uint32_t bytes);

/* Whether inner lies within outer, without overflow. */
bool within(uint32_t outer, uint32_t outer_bytes, uint32_t inner, uint32_t inner_bytes);

bool overlap(uint32_t a, uint32_t a_bytes, uint32_t b, uint32_t b_bytes);

/* Make the range readable and writable through our alias: try it, have the protection controllers
 * open it if that fails, and try again. The contents are kept. */
bool memory_open(uint32_t address, uint32_t bytes);

#endif
