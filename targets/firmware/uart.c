#include "uart.h"

#include "corstone300.h"
#include "memory.h"

enum { DATA = 0x00, STATE = 0x04, CTRL = 0x08, BAUDDIV = 0x10 };
#define STATE_TX_FULL 1u
#define CTRL_TX_ENABLE 1u

void uart_open(uint32_t divider)
{
    const uint32_t uart = alias(UART0_BASE);
    write32(uart + BAUDDIV, divider);
    write32(uart + CTRL, CTRL_TX_ENABLE);
}

void uart_write(const char *bytes, size_t count)
{
    const uint32_t uart = alias(UART0_BASE);
    for (size_t i = 0; i < count; i++) {
        while (read32(uart + STATE) & STATE_TX_FULL) {
        }
        write32(uart + DATA, (uint8_t)bytes[i]);
    }
}

void uart_drain(void)
{
    const uint32_t uart = alias(UART0_BASE);
    while (read32(uart + STATE) & STATE_TX_FULL) {
    }
}
