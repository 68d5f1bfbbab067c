"""Boards behind labgrid."""
