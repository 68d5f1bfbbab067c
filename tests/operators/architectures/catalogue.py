"""All architectures."""

from __future__ import annotations

import itertools

from tests.operators.architectures import (
    convolutional,
    dense_prediction,
    interfaces,
    sequential,
)
from tests.operators.architectures.architecture import Architecture

__all__ = ["ARCHITECTURES"]

ARCHITECTURES: tuple[Architecture, ...] = tuple(
    itertools.chain(
        convolutional.architectures(),
        dense_prediction.architectures(),
        sequential.architectures(),
        interfaces.architectures(),
    )
)
