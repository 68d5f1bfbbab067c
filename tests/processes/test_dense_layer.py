"""What unit tests take for Vela's work is what Vela does."""

from __future__ import annotations

from pathlib import Path

from tests.support.models.dense_layer import compile_dense_layer, stored_dense_layer


def test_the_stored_compile_is_that_of_the_installed_vela(tmp_path: Path) -> None:
    fresh = compile_dense_layer(tmp_path)
    assert fresh == stored_dense_layer(), "run python -m tests.support.models.dense_layer"
