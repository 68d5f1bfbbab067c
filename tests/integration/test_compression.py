"""Keras models of all kinds through compression: they work, or are refused in one sentence."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Case -> what came of it."""
    out = tmp_path_factory.mktemp("cases") / "outcomes.json"
    command = [sys.executable, "-m", "tests.support.models.keras_cases", str(out)]
    subprocess.run(command, check=True, capture_output=True, timeout=1200)
    found: dict[str, str] = json.loads(out.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("case", "kept"),
    [
        ("prune", "conv.kernel 0.80"),
        ("constant", "dense.kernel 0.30"),
        ("pattern", "conv.kernel 0.5"),
        ("blocks", "dense.kernel 0.8"),
        ("own layer pruned", "own.matrix 0.80"),
        ("own layer clustered", "own.matrix 0.00 8 tensor"),
        ("one dimension", "conv.kernel 0.80"),
        ("channels", "conv.kernel 0.00 8 channel"),
        ("small layer", "output.kernel 0.0"),
        ("small channels", "conv.kernel 0.5"),
        ("even channels", "conv.kernel 0.00 8 channel"),
        ("even, zeros kept", "dense.kernel 0.5"),
        ("rarer, pruned", "transposed.kernel 0.80"),
        ("rarer, clustered", "transposed.kernel 0.00 8 channel"),
        ("rarer, simulated", ""),
        ("two by two", "two.kernel 0.80"),
        ("two by two, simulated", ""),
        ("nested, outer layer", "output.kernel 0.80"),
        ("simulated", "dense.kernel 0.50"),
        ("16 bits", "dense.kernel 0.50"),
        # Nothing is promised, so it is enough that there is a quantised model.
        ("nested quantised", ""),
        ("own layer, simulated", ""),
        ("one dimension, simulated", ""),
    ],
)
def test_what_tfmot_can_do_works(outcomes: dict[str, str], case: str, kept: str) -> None:
    assert outcomes[case].startswith("kept: ")
    assert kept in outcomes[case]


def test_the_same_request_gives_the_same_bytes_whatever_was_made_before(
    outcomes: dict[str, str],
) -> None:
    assert outcomes["simulated"] == outcomes["simulated again"]
    assert "sha256" in outcomes["simulated"]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("sub-classed, pruned", "cannot prune a sub-classed model (Subclassed)"),
        ("sub-classed, simulated", "cannot train with simulated int8 a sub-classed model"),
        ("inside a nested model", "'deep' is inside the nested model 'inner'"),
        ("nested, simulated", "a model inside a model: 'inner'"),
        ("unknown layer", "unknown layer 'dens'; did you mean 'dense'"),
        ("depthwise", "'depthwise': tfmot cannot prune a DepthwiseConv2D"),
        ("own layer", "'own': tfmot cannot prune a Scaled"),
        ("own layer, not clusterable", "only if they are ClusterableLayers"),
        ("pattern in one dimension", "n_of_m is for Dense and Conv2D layers"),
        ("pattern too large", "needs 8 input channels, and its kernel has 4"),
        ("blocks of a convolution", "block_size is for matrices"),
        ("channels of a matrix", "per_channel is for Conv2D layers"),
        ("more clusters than weights", "no restriction for a channel of 36 weights"),
        ("figure of an unknown layer", "'conv' is not among the compressed layers"),
        ("zeros not covered", "add 'dense' to `layers`"),
        ("zeros of one dimension, simulated", "Dense and Conv2D layers only"),
    ],
)
def test_what_it_cannot_do_is_refused_before_training(
    outcomes: dict[str, str], case: str, reason: str
) -> None:
    assert outcomes[case].startswith("error: ")
    assert reason in outcomes[case]


@pytest.mark.parametrize(
    ("case", "cause"),
    [
        ("zeros that nobody kept", "50.0% zeros are promised, and the quantised model has 10.0%"),
        ("wrappers not stripped", "wrappers were not stripped"),
        ("batch norm, one scale", "a BatchNorm was folded in between"),
    ],
)
def test_a_broken_promise_is_told_with_its_cause(
    outcomes: dict[str, str], case: str, cause: str
) -> None:
    assert outcomes[case].startswith("error: layer ")
    assert cause in outcomes[case]
