"""Errors on their way back from a worker: what they say and what they are called stays."""

from __future__ import annotations

import pickle

import pytest

from bench.cluster.making import Failure
from bench.core.errors import (
    BenchError,
    CompilerError,
    PrerequisiteError,
    TargetError,
    TargetUnavailableError,
)
from targets.fvp.errors import InfrastructureError
from targets.mps3.errors import BoardError, BoardUnavailableError


class _OwnError(BenchError):
    """Of no kind that others know."""


@pytest.mark.parametrize(
    ("error", "common"),
    [
        (CompilerError("Vela said no", cure="ask Vela"), CompilerError),
        (BoardError("no answer in 5 s"), TargetError),
        (InfrastructureError("the image is gone", cure="docker pull it"), TargetError),
        (BoardUnavailableError("in use"), TargetUnavailableError),
        (BoardUnavailableError("in use"), PrerequisiteError),
        (_OwnError("of its own"), BenchError),
    ],
)
def test_an_error_keeps_its_name_words_and_place_in_the_tree(
    error: BenchError, common: type[BenchError]
) -> None:
    # Of the name depend the exit status and what reports say, of the tree what becomes of the cell.
    came = pickle.loads(pickle.dumps(Failure.of(error))).error()
    assert type(came).__name__ == type(error).__name__
    assert (came.what, came.cure, str(came)) == (error.what, error.cure, str(error))
    assert isinstance(came, common)
