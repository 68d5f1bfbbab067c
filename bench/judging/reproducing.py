"""The command that makes a judgement again, as verdicts carry it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Reproduce"]

#: Makes the command that repeats the judgement of a metric (or group) for a subject.
Reproduce: TypeAlias = Callable[[str, str], str]
