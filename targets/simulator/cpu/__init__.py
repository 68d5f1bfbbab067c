"""The operators Vela leaves to the CPU."""
