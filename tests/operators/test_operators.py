"""Every operator Vela puts on the NPU, executed from Vela's output, against TFLite-Micro."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.core.arrays import Array
from bench.judging.tolerances import exceeded
from bench.measuring.reference import compare_outputs
from bench.plan.tolerance import WIDEST
from bench.tflite.model_file import inspect
from bench.tflite.reference import ReferenceOutputs
from targets.artefact.errors import StreamError
from targets.simulator.simulator import InnerLoops, Simulator
from tests.operators.case import ROWS, Case, inputs_for, seed_of
from tests.operators.catalogue import CASES, configurations
from tests.operators.toolchain import CONFIGURATIONS, build


@pytest.mark.parametrize("index", range(len(CASES)), ids=[case.name for case in CASES])
def test_operator(index: int, tmp_path: Path) -> None:
    case = CASES[index]
    model = tmp_path / "model.tflite"
    model.write_bytes(case.model())
    inputs = inputs_for(model, ROWS, seed_of(case.name))
    options = configurations(index)
    reference = build(model, inputs, options, case.oracle)
    for option, compiled in zip(options, reference.compiled, strict=True):
        label = f"{option.accelerator.slug}, {option.memory_mode.value}, {option.optimise}"
        path = tmp_path / f"{option.accelerator.slug}_vela.tflite"
        path.write_bytes(compiled)
        check_placement(case, path, label)
        if case.vela_fault and option.accelerator in case.fault_on:
            check_fault(case, label, path, inputs, reference.outputs)
        else:
            for loops in InnerLoops:
                outputs = Simulator(path, inner_loops=loops).run(inputs).outputs
                check_outputs(case, f"{label}, {loops.value}", outputs, reference.outputs)


def check_placement(case: Case, path: Path, label: str) -> None:
    """The whole model is on the NPU, or, where the case says so, its operator is not."""
    operators = [operator.custom or operator.name for operator in inspect(path).operators]
    on_npu = all(operator == "ethos-u" for operator in operators)
    assert on_npu == (not case.on_cpu), f"{label}: Vela made {operators}"


def check_outputs(
    case: Case, label: str, outputs: tuple[Array, ...], expected: tuple[Array, ...]
) -> None:
    assert len(outputs) == len(expected), label
    differing = total = largest = 0
    for got, want in zip(outputs, expected, strict=True):
        assert got.dtype == want.dtype, label
        assert got.shape == want.shape, label
        difference = np.abs(got.astype(np.int64) - want.astype(np.int64))
        differing += int(np.count_nonzero(difference))
        total += difference.size
        largest = max(largest, int(difference.max()))
    words = f"{label}: {differing} of {total} elements differ, by up to {largest}"
    if case.deviation is not None:
        assert largest <= case.deviation.quanta, f"{words}; {case.deviation.reason}"
        assert differing <= case.deviation.share * total, f"{words}; {case.deviation.reason}"
    else:
        assert not differing, words


def check_fault(
    case: Case,
    label: str,
    path: Path,
    inputs: tuple[Array, ...],
    expected: tuple[Array, ...],
) -> None:
    """Vela still compiles this wrongly: the stream is refused, or gives something else."""
    try:
        outputs = Simulator(path).run(inputs).outputs
    except StreamError:
        return
    compared, _ = compare_outputs(outputs, ReferenceOutputs(expected, "the oracle"))
    assert compared is not None
    assert compared.mismatches, f"{label}: Vela compiles this rightly now ({case.vela_fault})"
    assert exceeded(compared, WIDEST), f"{label}: a tolerance could hide this"


def test_the_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


def test_every_operator_with_enough_cases_meets_every_configuration() -> None:
    met: dict[str, set[object]] = {}
    for index, case in enumerate(CASES):
        met.setdefault(case.operator, set()).update(configurations(index))
    for operator, options in met.items():
        # Four neighbours go once round memory modes and optimisations.
        if sum(case.operator == operator for case in CASES) >= 8:
            assert options == set(CONFIGURATIONS), operator
    assert set.union(*met.values()) == set(CONFIGURATIONS)
