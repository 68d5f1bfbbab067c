"""Accepted figures: what they are, their files, and where else they can come from."""
