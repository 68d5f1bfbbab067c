"""Models of Keras 3 become models of Keras 2 that compute the same, or are refused."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | float]:
    """Case -> the greatest difference of an output, or the error."""
    out = tmp_path_factory.mktemp("cases") / "outcomes.json"
    command = [sys.executable, "-m", "tests.support.models.keras3_cases", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found: dict[str, str | float] = json.loads(out.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    "case",
    ["residual", "shared_layer_and_two_ends", "nested", "sequence", "words", "mobilenet"],
)
def test_layers_of_both_are_translated_made_or_saved(
    outcomes: dict[str, str | float], case: str
) -> None:
    found = outcomes[case]
    assert isinstance(found, float), found
    assert found < 1e-4


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("operation", "'add' is the operation Add, no layer"),
        ("own_layer", "no Scale among the layers"),
        ("own_model", "OwnModel is a class of its own"),
        ("option_of_keras3", "LayerNormalization takes no rms_scaling"),
        ("changed_layer", "computes something else"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(
    outcomes: dict[str, str | float], case: str, told: str
) -> None:
    found = outcomes[case]
    assert isinstance(found, str), found
    assert told in found
    assert len(found.splitlines()) == 2


def test_the_same_seed_makes_the_same_model(outcomes: dict[str, str | float]) -> None:
    assert outcomes["made_again"] == 0.0
