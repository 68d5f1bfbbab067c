/* Answers: one line each, `BENCH1 <number> <text> {<JSON>} *<CRC-32>`; see targets/jobs/frames.py. */
#ifndef FRAME_H
#define FRAME_H

#include <stddef.h>
#include <stdint.h>

/* The part a person reads. */
void frame_begin(const char *text);
void frame_text(const char *text);
void frame_decimal(uint64_t value);

/* The part a program reads: `kind` first, then key by key. */
void frame_kind(const char *kind);
void frame_number(const char *key, uint64_t value);
void frame_string(const char *key, const char *value, size_t length);
void frame_word(const char *key, const char *value);
void frame_flag(const char *key, int value);
void frame_base64(const char *key, const uint8_t *bytes, size_t count);

/* A list of values: open, values, close. A pair is a list of two numbers. */
void frame_list(const char *key);
void frame_list_number(uint64_t value);
void frame_list_word(const char *value);
void frame_list_pair(uint64_t first, uint64_t second);
void frame_list_end(void);

/* Close the frame and send it. */
void frame_send(void);

/* Frames sent so far. */
uint32_t frame_count(void);

#endif
