"""All cases of the operator suite, and the configurations each is compiled for."""

from __future__ import annotations

import itertools

from bench.compiler import VelaOptions
from targets.ethos_u55.accelerators import Accelerator
from tests.operators import (
    cases_faulty,
    cases_pointwise,
    cases_recurrent,
    cases_reducing,
    cases_structural,
    cases_weighted,
)
from tests.operators.case import Case
from tests.operators.toolchain import CONFIGURATIONS

__all__ = ["CASES", "configurations"]

CASES: tuple[Case, ...] = tuple(
    itertools.chain(
        cases_weighted.cases(),
        cases_pointwise.cases(),
        cases_reducing.cases(),
        cases_structural.cases(),
        cases_recurrent.cases(),
        cases_faulty.cases(),
    )
)


def configurations(index: int) -> tuple[VelaOptions, ...]:
    """Every accelerator, for the case of that index in `CASES`; memory mode and optimisation
    alternate from case to case.
    """
    return tuple(
        next(option for option in _rotated(index + position) if option.accelerator == accelerator)
        for position, accelerator in enumerate(Accelerator)
    )


def _rotated(by: int) -> tuple[VelaOptions, ...]:
    start = by * len(Accelerator) % len(CONFIGURATIONS)
    return CONFIGURATIONS[start:] + CONFIGURATIONS[:start]
