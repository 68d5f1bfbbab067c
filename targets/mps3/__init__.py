"""The MPS3 board as a target: MCC console, SD card and UART."""
