"""Executing operations over a memory, bit for bit."""
