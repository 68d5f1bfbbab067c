"""Interpreters in a process of their own: what they answer, and what becomes of a dead one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.tflite.interpreter_process import InterpreterProcess, Verdict
from bench.tflite.interpreters import run_tflm
from tests.support.models.tflite_factory import Op, Tensor, single_operator
from tests.support.models.vela_files import small_mlp


@pytest.fixture
def process() -> Iterator[InterpreterProcess]:
    process = InterpreterProcess()
    yield process
    process.close()


def rows(count: int) -> np.ndarray:
    values = np.random.default_rng(3).integers(-128, 128, (count, 1, 40))
    return values.astype(np.int8)


def test_it_answers_as_the_interpreter_in_this_process(
    process: InterpreterProcess, tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(small_mlp())
    inputs = rows(5)
    verdict, (output,), _ = process.run(small_mlp(), [inputs], 1)
    assert verdict is Verdict.DONE
    (expected,) = run_tflm(path, [inputs[:, 0]])
    assert np.array_equal(output.reshape(expected.shape), expected)


def test_a_model_no_interpreter_takes_is_refused(process: InterpreterProcess) -> None:
    operator = Op("CUSTOM", (0,), (1,), custom="nobody-knows-this")
    shape = (1, 4)
    model = single_operator(operator, [Tensor("a", shape)], [Tensor("b", shape)])
    verdict, _, reason = process.run(model, [], 1)
    assert verdict is Verdict.REFUSED
    assert reason


def test_a_dead_child_costs_one_run(process: InterpreterProcess) -> None:
    inputs = [rows(2)]
    assert process.run(small_mlp(), inputs, 1)[0] is Verdict.DONE
    child = process._child
    assert child is not None
    os.kill(child.pid, signal.SIGSEGV)
    child.wait()
    verdict, _, reason = process.run(small_mlp(), inputs, 1)
    assert verdict is Verdict.FAILED
    assert str(-signal.SIGSEGV) in reason
    assert process.run(small_mlp(), inputs, 1)[0] is Verdict.DONE


def test_a_child_that_hangs_is_ended(
    process: InterpreterProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.tflite.interpreter_process._REQUEST_S", 0.5)
    monkeypatch.setattr("bench.tflite.interpreter_process._ROW_S", 0.0)
    inputs = [rows(2)]
    assert process.run(small_mlp(), inputs, 1)[0] is Verdict.DONE
    child = process._child
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    verdict, _, reason = process.run(small_mlp(), inputs, 1)
    assert verdict is Verdict.FAILED
    assert "no answer" in reason
    assert child.returncode is not None
