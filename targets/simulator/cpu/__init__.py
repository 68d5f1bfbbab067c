"""The operators that Vela leaves to the CPU."""
