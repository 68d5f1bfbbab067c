/* UART0, a CMSDK APB UART: transmit only. */
#ifndef UART_H
#define UART_H

#include <stddef.h>
#include <stdint.h>

/* 25 MHz peripheral clock / 115200 baud. */
#define UART_DEFAULT_DIVIDER 217u

void uart_open(uint32_t divider);
void uart_write(const char *bytes, size_t count);
void uart_drain(void);

#endif
