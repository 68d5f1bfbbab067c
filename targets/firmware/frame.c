#include "frame.h"

#include "crc32.h"
#include "uart.h"

/* The longest frame has 192 bytes of output in base64, or a job's name and some numbers. */
static char line[1024];
static size_t used;
static uint32_t sent;
static int list_empty;

static void put(char c)
{
    if (used < sizeof line) {
        line[used++] = c;
    }
}

void frame_text(const char *text)
{
    while (*text) {
        put(*text++);
    }
}

void frame_decimal(uint64_t value)
{
    /* By subtraction: no 64-bit division is linked in. */
    static const uint64_t powers[] = {
        1000000000000000000u, 100000000000000000u, 10000000000000000u, 1000000000000000u,
        100000000000000u, 10000000000000u, 1000000000000u, 100000000000u, 10000000000u,
        1000000000u, 100000000u, 10000000u, 1000000u, 100000u, 10000u, 1000u, 100u, 10u, 1u};
    const size_t last = sizeof powers / sizeof powers[0] - 1;
    int started = 0;
    for (size_t i = 0; i <= last; i++) {
        char digit = '0';
        while (value >= powers[i]) {
            value -= powers[i];
            digit++;
        }
        started |= digit != '0' || i == last;
        if (started) {
            put(digit);
        }
    }
}

static void hexadecimal(uint32_t value)
{
    for (int shift = 28; shift >= 0; shift -= 4) {
        put("0123456789ABCDEF"[value >> shift & 15u]);
    }
}

void frame_begin(const char *text)
{
    used = 0;
    frame_text("BENCH1 ");
    frame_decimal(sent);
    put(' ');
    frame_text(text);
}

static void key(const char *name)
{
    frame_text(",\"");
    frame_text(name);
    frame_text("\":");
}

void frame_kind(const char *kind)
{
    frame_text(" {\"kind\":\"");
    frame_text(kind);
    put('"');
}

void frame_number(const char *name, uint64_t value)
{
    key(name);
    frame_decimal(value);
}

void frame_string(const char *name, const char *value, size_t length)
{
    key(name);
    put('"');
    for (size_t i = 0; i < length; i++) {
        put(value[i]);
    }
    put('"');
}

void frame_word(const char *name, const char *value)
{
    key(name);
    put('"');
    frame_text(value);
    put('"');
}

void frame_flag(const char *name, int value)
{
    key(name);
    frame_text(value ? "true" : "false");
}

void frame_base64(const char *name, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    key(name);
    put('"');
    for (size_t i = 0; i < count; i += 3) {
        const size_t left = count - i;
        const uint32_t group = (uint32_t)bytes[i] << 16 |
                               (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0u) |
                               (left > 2 ? bytes[i + 2] : 0u);
        put(digits[group >> 18]);
        put(digits[group >> 12 & 63u]);
        put(left > 1 ? digits[group >> 6 & 63u] : '=');
        put(left > 2 ? digits[group & 63u] : '=');
    }
    put('"');
}

void frame_list(const char *name)
{
    key(name);
    put('[');
    list_empty = 1;
}

static void separate(void)
{
    if (!list_empty) {
        put(',');
    }
    list_empty = 0;
}

void frame_list_number(uint64_t value)
{
    separate();
    frame_decimal(value);
}

void frame_list_word(const char *value)
{
    separate();
    put('"');
    frame_text(value);
    put('"');
}

void frame_list_pair(uint64_t first, uint64_t second)
{
    separate();
    put('[');
    frame_decimal(first);
    put(',');
    frame_decimal(second);
    put(']');
}

void frame_list_end(void)
{
    put(']');
}

void frame_send(void)
{
    put('}');
    const uint32_t crc = crc32(0, line, used);
    frame_text(" *");
    hexadecimal(crc);
    frame_text("\r\n");
    uart_write(line, used);
    sent++;
}

uint32_t frame_count(void)
{
    return sent;
}
