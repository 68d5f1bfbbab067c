"""What cannot be run of the part that Vela left to the CPU."""

from __future__ import annotations

from bench.core.errors import ModelError
from targets.artefact import Artefact, CpuOperator

__all__ = ["CpuOperatorError", "place_of"]


class CpuOperatorError(ModelError):
    """An operator on the CPU cannot be run here. The NPU's part is not affected."""


def place_of(artefact: Artefact, operator: CpuOperator) -> str:
    """The model and the operator, for messages."""
    return f"{artefact.name}: operator {operator.index} ({operator.custom or operator.name})"
