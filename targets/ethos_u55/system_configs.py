"""The system configurations that Vela ships for the Ethos-U55."""

from __future__ import annotations

__all__ = ["DEFAULT_SYSTEM_CONFIG"]

#: Vela's system configuration for a 500 MHz Ethos-U55 with a 0.125-scaled flash clock.
DEFAULT_SYSTEM_CONFIG = "Ethos_U55_High_End_Embedded"
