"""Published cycle counts next to the estimates of the same networks, for the tables of `fidelity`.

The rows of `kws_micronet_m` are compared on the artefacts on which they were measured. The networks
of `mnist_fc` are not published. They are compared at equal encoded size, weights and scales:
networks of the same shape with synthetic weights of rising sparsity give cycles and AXI1 beats over
size, and between two of them the curves are straight lines.
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

from bench.compiler import VelaOptions, compile_model
from bench.report.published import PublishedRow, published_rows
from benchmarks.dense_network import dense_network
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import PortMap
from targets.simulator.simulator import Simulator
from targets.simulator.timing import estimate, named_profile
from targets.simulator.timing.assumptions import DECIDED, Assumptions
from targets.simulator.timing.work import network_work

__all__ = [
    "CHOICES",
    "DRIVER",
    "MODE",
    "MODEL",
    "PROFILE",
    "STREAM_ON_AXI0",
    "LeftOut",
    "Row",
    "fc_rows",
    "fvp_networks",
    "fvp_rows",
    "kws_rows",
    "leave_one_out",
]

MODEL = "kws_micronet_m"
MODE = MemoryMode.SHARED_SRAM
PROFILE = named_profile("u55_high_end")
KIB = 1024
LAYERS = ((128, 784), (64, 128), (10, 64))
SPARSITIES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.87)
#: 10 bytes for each of the 202 neurons. Vela counts them among the encoded weights up to 3.11.0, so
#: they are in the sizes of Arm's article of July 2023; 3.12.0 and later do not. Found by compiling
#: one network with 3.6.0 to 3.12.0, 4.0.1 and 5.2.0: 94.77 KiB, then 92.78.
SCALES_KIB = 10 * sum(outputs for outputs, _ in LAYERS) / KIB
#: Arm's driver's.
DRIVER = PortMap.for_memory_mode(MODE)
#: The rows of Arm's article are rounded to this many cycles.
ROUNDED_TO = 1000
#: All choices; see `Assumptions`.
CHOICES = tuple(
    Assumptions(commands_ahead=ahead, under_way=operations, restart=restart, pooling_bits=bits)
    for ahead, operations, restart, bits in product((0, 1, 2, 4), (1, 2), range(0, 96, 16), (2, 8))
)
#: Choices whose rows differ by no more than this (root mean square) count as equal: the FVP's own
#: counts differ by as much with the quantum of its scheduler.
INDISTINCT = 0.0005
#: QCONFIG that sends the command stream to AXI0, where Arm's driver sends it to AXI1.
STREAM_ON_AXI0 = PortMap(qconfig=0)


@dataclass(frozen=True)
class Row:
    """A published row next to the two estimates of it. Cycles."""

    label: str
    published: int
    ours: float
    vela: float
    #: Half the step to which the published figure is rounded.
    rounding: float = 0.5
    #: AXI1 beats, published (if they are part of the comparison) and ours.
    published_beats: int | None = None
    beats: float = 0.0

    @property
    def error(self) -> float:
        """The error of ours, as a share of the published figure."""
        return self.ours / self.published - 1

    @property
    def vela_error(self) -> float:
        """Of Vela's."""
        return self.vela / self.published - 1

    @property
    def beyond_rounding(self) -> float:
        """How far ours lies outside the range that rounds to the published figure."""
        distance = max(abs(self.ours - self.published) - self.rounding, 0.0)
        return distance / self.published


def kws_rows(reference: Path, zoo: Path, choice: Assumptions = DECIDED) -> list[Row]:
    """The four FVP rows of `kws_micronet_m`, on the very artefacts the FVP ran."""
    return [
        Row(
            f"{MODEL}, {int(row.macs)} MACs",
            _active(row),
            _cycles(reference / f"{MODEL}_{row.macs.slug}.tflite", choice),
            _vela_cycles(zoo / f"{MODEL}.tflite", row.macs),
        )
        for row in fvp_rows(MODEL)
    ]


def fc_rows(choice: Assumptions = DECIDED, ports: PortMap = DRIVER) -> list[Row]:
    """The four FPGA rows of `mnist_fc` at equal encoded size, including scales.

    `ports` is the map of the system: the article does not say which AXI port fetched the commands.
    """
    curve = _fc_curve()
    sizes = [point.encoded_kib + SCALES_KIB for point in curve]
    ours = [_cycles(point.path, choice, ports) for point in curve]
    beats = [
        float(_simulator(point.path, ports).traffic.counters["AXI1_RD_DATA_BEAT_RECEIVED"])
        for point in curve
    ]
    vela = [float(point.vela_cycles) for point in curve]
    rows = []
    for row in published_rows():
        if row.workload != "mnist_fc":
            continue
        assert row.encoded_weights_kib is not None, "published with its size"
        size = row.encoded_weights_kib
        rows.append(
            Row(
                f"mnist_fc, {row.variant}",
                _active(row),
                float(np.interp(size, sizes, ours)),
                float(np.interp(size, sizes, vela)),
                ROUNDED_TO / 2,
                row.axi1_rd_beats,
                float(np.interp(size, sizes, beats)),
            )
        )
    return rows


def fvp_networks() -> list[str]:
    """The networks whose cycles were counted on the FVP."""
    return list(dict.fromkeys(row.model for row in _of_the_fvp()))


def fvp_rows(network: str) -> list[PublishedRow]:
    """The FVP's rows of a network, by rising MACs."""
    return sorted((row for row in _of_the_fvp() if row.model == network), key=lambda row: row.macs)


def _of_the_fvp() -> list[PublishedRow]:
    return [row for row in published_rows() if row.measured_on.startswith("FVP Corstone-300 11")]


def _active(row: PublishedRow) -> int:
    assert row.npu_active_cycles is not None, "published with its cycles"
    return row.npu_active_cycles


@cache
def _simulator(path: Path, ports: PortMap) -> Simulator:
    return Simulator(path, ports=ports)


@cache
def _cycles(path: Path, choice: Assumptions, ports: PortMap = DRIVER) -> float:
    works = [
        network_work(work.traffic, work.macs, choice) if choice != work.assumptions else work
        for work in _simulator(path, ports).work
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
    """The directory of the curve's networks while the process lives."""
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
        model.write_bytes(dense_network([w.astype(np.int8) for w in kept]))
        options = VelaOptions(accelerator=Accelerator.U55_128, memory_mode=MODE)
        made = compile_model(model, options, directory)
        size = made.report.encoded_weights_bytes / KIB
        points.append(_Point(made.path(directory), size, made.report.cycles_total))
    return tuple(sorted(points, key=lambda point: point.encoded_kib))


@dataclass(frozen=True)
class LeftOut:
    """What the other rows would have decided, and what that predicts for the row left out."""

    label: str
    #: Whether the other rows of its network were left out as well.
    whole_network: bool
    #: The choices that the other rows cannot tell apart, and the error of each in the row.
    choices: tuple[Assumptions, ...]
    errors: tuple[float, ...]


def leave_one_out(rows: Mapping[Assumptions, Sequence[Row]]) -> list[LeftOut]:
    """For each row: without it, and without its whole network.

    The choices with the smallest root mean square error on the remaining rows win; rounding of the
    published figures does not count as an error. If several are equal, all of them win: what these
    rows cannot tell apart stays open.
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
            spread = {
                choice: math.hypot(*(mine[j].beyond_rounding for j in kept)) / len(kept) ** 0.5
                for choice, mine in rows.items()
            }
            closest = min(spread.values())
            best = tuple(each for each in rows if spread[each] <= closest + INDISTINCT)
            errors = tuple(rows[choice][i].error for choice in best)
            found.append(LeftOut(row.label, whole, best, errors))
    return found
