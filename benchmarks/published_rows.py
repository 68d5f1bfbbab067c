"""Published cycle counts beside the estimates of the same networks: what `fidelity` tabulates.

The rows of `kws_micronet_m` are compared on the artefacts they were measured on. Those of
`mnist_fc` are of networks nobody has published. They are compared at equal encoded size: networks
of the same shape with synthetic weights of rising sparsity give cycles over size, and between two
of them the curve is a straight line, as cycles are in AXI1 beats.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np

from bench.cell import Accelerator, MemoryMode
from bench.compiler import VelaOptions, compile_model
from bench.published import PublishedRow, published_rows
from targets.simulator.simulator import Simulator
from targets.simulator.timing import estimate, named_profile
from targets.simulator.timing.assumptions import DECIDED, Assumptions
from targets.simulator.timing.work import network_work
from tests.tflite_factory import mlp

__all__ = [
    "CHOICES",
    "MODE",
    "MODEL",
    "PROFILE",
    "SCALES_KIB",
    "LeftOut",
    "Row",
    "fc_rows",
    "kws_rows",
    "leave_one_out",
]

MODEL = "kws_micronet_m"
MODE = MemoryMode.SHARED_SRAM
PROFILE = named_profile("u55_high_end")
KIB = 1024
LAYERS = ((128, 784), (64, 128), (10, 64))
SPARSITIES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.87)
#: 10 bytes for each of the 202 neurons. Vela 3.8.0, the version of July 2023, counts them among
#: the encoded weights; 5.2.0 does not.
SCALES_KIB = 10 * sum(outputs for outputs, _ in LAYERS) / KIB
#: The rows of Arm's article are rounded to so many cycles.
ROUNDED_TO = 1000
#: Every choice there is; see `Assumptions`.
CHOICES = tuple(
    Assumptions(commands_ahead=ahead, dma_hold=hold, pooling_bits=bits)
    for ahead, hold, bits in product((0, 1, 2, 4), (0.0, 1.0), (2, 8))
)


@dataclass(frozen=True)
class Row:
    """A published row beside the two estimates of it. Cycles."""

    label: str
    published: int
    ours: float
    vela: float
    #: Half the step the published figure is rounded to.
    rounding: float = 0.5

    @property
    def error(self) -> float:
        """Of ours, as a share of the published figure."""
        return self.ours / self.published - 1

    @property
    def vela_error(self) -> float:
        """Of Vela's."""
        return self.vela / self.published - 1

    @property
    def beyond_rounding(self) -> float:
        """How far ours lies outside what the published figure may have been rounded from."""
        distance = max(abs(self.ours - self.published) - self.rounding, 0.0)
        return distance / self.published


def kws_rows(reference: Path, zoo: Path, choice: Assumptions = DECIDED) -> list[Row]:
    """The four FVP rows of `kws_micronet_m`, on the very artefacts the FVP ran."""
    return [
        Row(
            f"{MODEL}, {int(macs)} MACs",
            _published(macs),
            _cycles(reference / f"{MODEL}_{macs.slug}.tflite", choice),
            _vela_cycles(zoo / f"{MODEL}.tflite", macs),
        )
        for macs in Accelerator
    ]


def fc_rows(choice: Assumptions = DECIDED, scales_kib: float = 0.0) -> list[Row]:
    """The four FPGA rows of `mnist_fc` at equal encoded size.

    `scales_kib` is how much of the published sizes is scales and biases.
    """
    curve = _fc_curve()
    sizes = [point.encoded_kib for point in curve]
    ours = [_cycles(point.path, choice) for point in curve]
    vela = [float(point.vela_cycles) for point in curve]
    rows = []
    for row in published_rows():
        if row.workload != "mnist_fc":
            continue
        assert row.encoded_weights_kib is not None, "published with its size"
        assert row.npu_active_cycles is not None, "published with its cycles"
        size = row.encoded_weights_kib - scales_kib
        rows.append(
            Row(
                f"mnist_fc, {row.variant}",
                row.npu_active_cycles,
                float(np.interp(size, sizes, ours)),
                float(np.interp(size, sizes, vela)),
                ROUNDED_TO / 2,
            )
        )
    return rows


def _published(macs: Accelerator) -> int:
    (row,) = (row for row in published_rows() if _is_fvp(row) and row.macs is macs)
    assert row.npu_active_cycles is not None, "the FVP's rows have cycles"
    return row.npu_active_cycles


def _is_fvp(row: PublishedRow) -> bool:
    return row.model == MODEL and row.measured_on.startswith("FVP Corstone-300 11")


@cache
def _simulator(path: Path) -> Simulator:
    return Simulator(path)


@cache
def _cycles(path: Path, choice: Assumptions) -> float:
    works = [
        network_work(work.traffic, work.macs, choice) if choice != work.assumptions else work
        for work in _simulator(path).work
    ]
    return float(sum(estimate(work, MODE, PROFILE).npu_active for work in works))


@cache
def _vela_cycles(model: Path, macs: Accelerator) -> int:
    with tempfile.TemporaryDirectory() as directory:
        options = VelaOptions(accelerator=macs, memory_mode=MODE)
        return compile_model(model, options, Path(directory)).report.cycles_total


@dataclass(frozen=True)
class _Point:
    """A network of the shape of `mnist_fc`, compiled for 128 MACs."""

    path: Path
    encoded_kib: float
    vela_cycles: int


@cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    """Where the networks of the curve lie while the process lives."""
    return tempfile.TemporaryDirectory(prefix="fidelity-")


@cache
def _fc_curve() -> tuple[_Point, ...]:
    """By rising size."""
    points = []
    for sparsity in SPARSITIES:
        directory = Path(_directory().name) / f"{sparsity}"
        directory.mkdir(exist_ok=True)
        generator = np.random.default_rng(2023)
        layers = [np.clip(np.round(generator.normal(0, 30, s)), -127, 127) for s in LAYERS]
        kept = [w * (generator.random(w.shape) >= sparsity) for w in layers]
        model = directory / "fc.tflite"
        model.write_bytes(mlp([w.astype(np.int8) for w in kept], softmax=True))
        options = VelaOptions(accelerator=Accelerator.U55_128, memory_mode=MODE)
        made = compile_model(model, options, directory)
        size = made.report.encoded_weights_bytes / KIB
        points.append(_Point(made.path(directory), size, made.report.cycles_total))
    return tuple(sorted(points, key=lambda point: point.encoded_kib))


@dataclass(frozen=True)
class LeftOut:
    """What the other rows would have decided, and what that predicts for the row left out."""

    label: str
    #: Rows of its own network left out as well.
    whole_network: bool
    #: The choices the other rows cannot tell apart, and the errors each makes in the row.
    choices: tuple[Assumptions, ...]
    errors: tuple[float, ...]


def leave_one_out(rows: Mapping[Assumptions, Sequence[Row]]) -> list[LeftOut]:
    """For each row: without it, and without its whole network.

    The choices with the smallest root mean square error on the remaining rows are decided for, all
    of them: what these rows do not tell apart is left open.
    """
    found = []
    decided = rows[DECIDED]
    for whole in (False, True):
        for i, row in enumerate(decided):
            network = row.label.split(",")[0]
            kept = [
                j
                for j, other in enumerate(decided)
                if (not other.label.startswith(f"{network},") if whole else j != i)
            ]
            # To a hundredth of a percent: what is closer decides nothing.
            spread = {
                choice: round(math.hypot(*(mine[j].error for j in kept)) / len(kept) ** 0.5, 4)
                for choice, mine in rows.items()
            }
            best = tuple(each for each in rows if spread[each] == min(spread.values()))
            errors = tuple(rows[choice][i].error for choice in best)
            found.append(LeftOut(row.label, whole, best, errors))
    return found
