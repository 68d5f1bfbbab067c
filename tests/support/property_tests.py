"""What property tests take for granted, wherever they are."""

from __future__ import annotations

from hypothesis import settings

__all__ = ["load_profile"]


def load_profile() -> None:
    """No deadline: how long an example takes says more about the machine than about the code.

    The rest is as hypothesis chose: on a CI machine it has a profile of its own.
    """
    settings.register_profile("bench", settings(deadline=None))
    settings.load_profile("bench")
