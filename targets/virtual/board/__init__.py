"""The virtual MPS3 board."""
