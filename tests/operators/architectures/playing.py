"""Playing architectures: one bench of all of them, and what its records say of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.plan.cell import Cell
from bench.plan.metrics import MetricName
from bench.records.figures import Absent
from bench.records.metric_values import metric_value
from bench.records.record import Record
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.operators.architectures.architecture import Architecture
from tests.support.bench_runs import BenchRun, BenchRunner

__all__ = ["Outcome", "Played", "cell_of", "outcome", "play"]

#: Random inputs, each of them compared with the reference.
ROWS = 8

#: No architecture has labels, and target `sim` counts no idle cycles. For a missing reference,
#: `_outputs` compares the reason.
_MAY_BE_ABSENT = (MetricName.ACCURACY, MetricName.ACTIVE_SHARE, MetricName.REFERENCE)

_GRID = f"""[grid]
macs = {[int(accelerator) for accelerator in Accelerator]}
memory_modes = {[mode.value for mode in MemoryMode]}
targets = ["sim"]
"""


@dataclass(frozen=True)
class Played:
    """An architecture and the records of the cells it was played on; there are fewer where some
    of them could not be measured.
    """

    architecture: Architecture
    cells: tuple[Cell, ...]
    records: tuple[Record, ...]


@dataclass(frozen=True)
class Outcome:
    """How an architecture ended."""

    #: `exact`, or what deviates, or why its outputs are not judged.
    outputs: str
    #: The kinds of operators that Vela leaves to the CPU.
    on_cpu: str


def cell_of(index: int, name: str, turn: int) -> Cell:
    """The cell that the architecture of that index has in `turn`: four turns meet every MAC count,
    and both memory modes.
    """
    accelerators, modes = tuple(Accelerator), tuple(MemoryMode)
    accelerator = accelerators[(index + turn) % len(accelerators)]
    mode = modes[(index // len(accelerators) + turn) % len(modes)]
    return Cell(name, "base", accelerator, mode, "sim")


def play(
    architectures: Sequence[tuple[int, Architecture]],
    directory: Path,
    *,
    turns: Sequence[int],
    processes: str = "0",
) -> tuple[BenchRun, tuple[Played, ...]]:
    """Run one bench of `architectures`, each with its index in the catalogue, in `directory`."""
    runner = BenchRunner(directory)
    text = [_GRID]
    cells: dict[str, tuple[Cell, ...]] = {}
    for index, architecture in architectures:
        (directory / f"{architecture.name}.tflite").write_bytes(architecture.model())
        text.append(_workload(architecture))
        cells[architecture.name] = tuple(cell_of(index, architecture.name, turn) for turn in turns)
    wanted = [
        f"tests/regression/test_reference.py::test_reference[{cell.id}]"
        for of_one in cells.values()
        for cell in of_one
    ]
    run = runner.run(runner.write_config("\n".join(text)), "-n", processes, *wanted, timeout=7200)
    records = run.records()
    played = tuple(
        Played(
            one, cells[one.name], tuple(records[c.id] for c in cells[one.name] if c.id in records)
        )
        for _, one in architectures
    )
    return run, played


def _workload(architecture: Architecture) -> str:
    lines = [
        f"[workloads.{architecture.name}]",
        f'model = "{architecture.name}.tflite"',
        f"random_inputs = {ROWS}",
    ]
    deviation = architecture.deviation
    if deviation is not None:
        lines += [
            f"[[workloads.{architecture.name}.limits]]",
            f'metric = "{MetricName.REFERENCE.value}"',
            f"max_steps = {deviation.quanta}",
            f"max_share = {deviation.share}",
            f'reason = "{deviation.reason}"',
        ]
    return "\n".join(lines) + "\n"


def outcome(played: Played) -> Outcome:
    """How one architecture ended.

    Raises AssertionError, with the architecture's name, where a cell was lost, a figure lacks
    its number or its reason, or the outputs did not end as the architecture says.
    """
    expected, records = played.architecture, played.records
    measured = {record.cell.id for record in records}
    lost = [cell.id for cell in played.cells if cell.id not in measured]
    assert not lost, f"not measured: {lost}"
    for record in records:
        for metric in MetricName:
            value = metric_value(record, metric)
            if isinstance(value, Absent):
                words = f"{record.cell.id}: no {metric.value}: {value.reason}"
                assert value.reason, words
                assert metric in _MAY_BE_ABSENT, words
    on_cpu = {name for record in records for name in record.compilation.cpu_operators or ()}
    return Outcome(_outputs(expected, records), ", ".join(sorted(on_cpu)))


def _outputs(expected: Architecture, records: Sequence[Record]) -> str:
    name = expected.name
    found = [metric_value(record, MetricName.REFERENCE) for record in records]
    reasons = {one.reason.partition(";")[0] for one in found if isinstance(one, Absent)}
    if expected.unjudged:
        (reason,) = reasons
        assert expected.unjudged in reason, f"{name}: {reason}"
        return f"not judged ({reason})"
    assert not reasons, f"{name}: {reasons}"
    if expected.deviation is not None:
        # That it is within its tolerance is the bench's own verdict.
        return f"deviation: {expected.deviation.reason}"
    assert not any(found), f"{name}: {found} elements differ"
    return "exact"
