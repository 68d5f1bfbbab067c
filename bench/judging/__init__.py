"""Verdicts, computed from records and limits."""
