from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.core.errors import ModelError
from models.weights import kernel_stats, pack, read

VALUES = st.sampled_from([0.0, -0.0, 0.5, -0.25, 3.0])


def test_packed_weights_come_back_in_order(tmp_path: Path) -> None:
    weights = {
        "z/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
        "a/bias": np.array([np.pi], np.float32),
    }
    file = tmp_path / "float.npz"
    file.write_bytes(pack(weights))
    back = read(file)
    assert list(back) == ["z/kernel", "a/bias"]
    for name, array in weights.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == np.float32


@given(st.integers(min_value=0))
def test_a_file_cut_short_is_an_error_that_names_it(
    tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    file = tmp_path_factory.mktemp("damaged") / "float.npz"
    whole = pack({"a/kernel": np.ones((4, 4), np.float32)})
    file.write_bytes(whole[: length % len(whole)])
    with pytest.raises(ModelError, match=re.escape(str(file))):
        read(file)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.npz"):
        read(tmp_path / "absent.npz")


@given(arrays(np.float32, (3, 5), elements=VALUES))
def test_stats_count_zeros_and_values(kernel: np.ndarray) -> None:
    stats = kernel_stats({"a/kernel": kernel, "a/bias": np.zeros(5, np.float32)})
    assert list(stats) == ["a"]
    flat = kernel.ravel().tolist()
    assert stats["a"].shape == (3, 5)
    assert stats["a"].sparsity == pytest.approx(sum(v == 0 for v in flat) / 15)
    # -0.0 and 0.0 are one value.
    assert stats["a"].unique_values == len(set(flat))
