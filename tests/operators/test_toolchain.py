"""What the suite compiles in-process is what the bench's own compile writes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from bench.compiler import VelaOptions, compile_model
from bench.core.errors import CompilerError
from tests.operators import toolchain
from tests.operators.case import Case, inputs_for
from tests.operators.catalogue import CASES
from tests.operators.toolchain import CONFIGURATIONS, build


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("conv/3x3-same", CONFIGURATIONS[0]),
        ("softmax/many-rows", CONFIGURATIONS[5]),
        ("lstm/six-steps", CONFIGURATIONS[-1]),
    ],
    ids=["conv", "softmax", "lstm"],
)
def test_the_child_compiles_what_vela_writes(
    name: str, options: VelaOptions, tmp_path: Path
) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(case_named(name).model())
    by_command = compile_model(model, options, tmp_path / "out")
    reference = build(model, inputs_for(model, 6, 0), (options,))
    assert reference.compiled == (by_command.path(tmp_path / "out").read_bytes(),)


def test_a_crash_is_an_error_and_the_next_case_runs(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    model.write_bytes(case_named("conv/1x1-same").model())
    inputs = inputs_for(model, 6, 0)
    build(model, inputs, CONFIGURATIONS[:1])
    before = set(toolchain.children())
    assert before, "the child stays between cases"
    for child in before:
        os.kill(child, signal.SIGSEGV)
    with pytest.raises(CompilerError, match="crashed or hung"):
        build(model, inputs, CONFIGURATIONS[:1])
    assert len(build(model, inputs, CONFIGURATIONS[:1]).compiled) == 1
