"""What property tests take for granted."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says more about the machine than about what is tested. The rest is as
# hypothesis chose: on a CI machine it has a profile of its own.
settings.register_profile("bench", settings(deadline=None))
settings.load_profile("bench")
