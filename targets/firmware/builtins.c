/* What a compiler may call without being asked, even for freestanding code: the C names that gcc
 * uses, and those of Arm's run-time ABI (RTABI 4.3.4) that clang uses. */
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *to, int value, size_t count);
void __aeabi_memcpy(void *restrict to, const void *restrict from, size_t count);
void __aeabi_memcpy4(void *restrict to, const void *restrict from, size_t count);
void __aeabi_memcpy8(void *restrict to, const void *restrict from, size_t count);
void __aeabi_memclr(void *to, size_t count);
void __aeabi_memclr4(void *to, size_t count);
void __aeabi_memclr8(void *to, size_t count);

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    unsigned char *target = to;
    const unsigned char *source = from;
    while (count--) {
        *target++ = *source++;
    }
    return to;
}

void *memset(void *to, int value, size_t count)
{
    unsigned char *target = to;
    while (count--) {
        *target++ = (unsigned char)value;
    }
    return to;
}

void __aeabi_memcpy(void *restrict to, const void *restrict from, size_t count)
{
    (void)memcpy(to, from, count);
}

void __aeabi_memcpy4(void *restrict to, const void *restrict from, size_t count)
{
    (void)memcpy(to, from, count);
}

void __aeabi_memcpy8(void *restrict to, const void *restrict from, size_t count)
{
    (void)memcpy(to, from, count);
}

void __aeabi_memclr(void *to, size_t count)
{
    (void)memset(to, 0, count);
}

void __aeabi_memclr4(void *to, size_t count)
{
    (void)memset(to, 0, count);
}

void __aeabi_memclr8(void *to, size_t count)
{
    (void)memset(to, 0, count);
}
