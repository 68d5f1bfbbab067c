"""What is stored about a cell: one strict, versioned JSON document with full provenance.

A record has no time stamps, durations, paths or host names. If the same artefacts are measured
again, they give the same bytes, so `diff` compares two runs. What belongs to the run (when, where,
how long) is in the run's manifest.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

from pydantic import Field, model_validator

from bench.compiler import VelaOptions, VelaReport
from bench.core.schema import RecordModel
from bench.core.text import one_line
from bench.plan.cell import INSTALLED_VELA, Cell
from bench.plan.config import Binding
from bench.plan.metrics import MetricName
from bench.records.figures import Category, Figure, Number, shown
from bench.records.measurement import MeasurementRecord
from bench.records.migration import migrated
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = [
    "AccuracyRecord",
    "CellIdentity",
    "CompilationRecord",
    "DataIdentity",
    "JudgedModel",
    "ModelRecord",
    "OutputDifference",
    "Record",
    "ReferenceRecord",
    "Status",
    "SweepRecord",
    "UnmeasuredRecord",
    "Verdict",
]


class Status(str, Enum):
    """The outcome of one judgement."""

    PASS = "pass"
    FAIL = "fail"
    #: A figure was measured, but nothing says what it should be.
    NO_BASELINE = "no_baseline"
    #: A figure that the target should have given is missing.
    INCOMPLETE = "incomplete"
    #: The target cannot give the figure, and says why.
    UNAVAILABLE = "unavailable"


class Verdict(RecordModel):
    """One judgement of one figure of one cell or group."""

    status: Status
    #: Id of the cell or group.
    subject: str
    #: A `MetricName`, or `mac_sweep`, or `variant_order`.
    metric: str
    measured: Figure
    #: What must accompany the figure, such as that it is an estimate; or empty.
    remark: str = ""
    #: The bound that the configuration states; None if there is none.
    limit: Number | Category | None = Field(default=None, discriminator="kind")
    #: `at least`, `at most`, `exactly`, or empty.
    direction: str = ""
    reason: str
    #: The command that makes this judgement again.
    reproduce: str
    #: The key of the configuration that states the bound (`workloads.x.limits[0].max`), or empty.
    key: str = ""

    @property
    def finding(self) -> str:
        """What was measured and what it should be, in a few words."""
        remark = f" ({self.remark})" if self.remark else ""
        wanted = f", must be {self.direction} {shown(self.limit)}" if self.limit else ""
        return f"{self.metric} {shown(self.measured)}{remark}{wanted}"

    @property
    def line(self) -> str:
        """One line that says everything; the first line of a failing test."""
        return one_line(
            f"{self.subject}: {self.finding} "
            f"[{self.status.value}: {self.reason}] reproduce: {self.reproduce}"
        )


class JudgedModel(RecordModel):
    """A record of a run, with a version; older ones are migrated when they are read."""

    #: Raised whenever a reader of the previous version would misread the new one.
    schema_version: Literal[2] = 2

    @model_validator(mode="before")
    @classmethod
    def _of_older_versions(cls, document: Any) -> Any:
        return migrated(document)


class CellIdentity(RecordModel):
    """The coordinates of a cell in the grid."""

    id: str
    workload: str
    variant: str
    macs: Accelerator
    memory_mode: MemoryMode
    target: str
    system_config: str
    timing: str
    #: The version of Vela that the grid names, or `installed`; see `compilation.vela_version`.
    vela: str = INSTALLED_VELA

    @classmethod
    def of(cls, cell: Cell) -> CellIdentity:
        """The identity of `cell`."""
        return cls(
            id=cell.id,
            workload=cell.workload,
            variant=cell.variant,
            macs=cell.accelerator,
            memory_mode=cell.memory_mode,
            target=cell.target,
            system_config=cell.system_config,
            timing=cell.timing,
            vela=cell.vela,
        )


class DataIdentity(RecordModel):
    """Which data a figure was measured on. Figures on different data are never compared."""

    name: str
    sha256: str
    #: Independent inputs, or streams.
    samples: int
    #: How many steps each stream has, in which state lasts; None if the inputs are not streams.
    steps: int | None = None


class ModelRecord(RecordModel):
    """The quantised model that was given to Vela."""

    origin: Literal["trained", "file"]
    sha256: str
    size_bytes: int
    #: How it was made (seed, epochs, library versions) or where it came from.
    provenance: dict[str, str]
    #: Whether an inference can depend on the one before.
    keeps_state: bool = False
    #: What the bench changed in the user's file, a sentence each; `sha256` and `size_bytes` are
    #: those of the changed file then.
    changes: tuple[str, ...] = ()


class CompilationRecord(RecordModel):
    """What Vela made of it."""

    vela_version: str
    command: tuple[str, ...]
    options: VelaOptions
    #: Of the configuration file's bytes, Arm's own or the user's; empty in older records.
    config_sha256: str = ""
    sha256: str
    #: What the device stores: the size of Vela's `.tflite`.
    device_model_bytes: int
    report: VelaReport
    #: The operators that run on the CPU, as the compiled file has them; None in records from before
    #: they were counted.
    cpu_operators: tuple[str, ...] | None = None


class AccuracyRecord(RecordModel):
    """The quality of the outputs over a labelled test set."""

    #: A metric of the bench's (`top1`), or a function of the user's (`metrics.py:within_one`).
    metric: str
    value: float
    samples: int
    #: Share of the inputs' values that were cut to the range of the model's inputs, 0..1.
    saturated: float = 0.0


class OutputDifference(RecordModel):
    """One output of the target against the reference interpreter's, bit by bit."""

    dtype: str
    elements: int
    mismatches: int
    #: The largest difference, in quantisation steps.
    largest: int


class ReferenceRecord(RecordModel):
    """The target's outputs against those of the reference interpreter, bit by bit."""

    #: Who gave them, with versions.
    interpreter: str
    #: Why a correct NPU may differ from them, in which case nothing is judged; empty: it may not.
    inexact: str = ""
    #: Inputs compared; the first ones of the test set.
    samples: int
    elements: int
    #: Elements that differ; a correct NPU has none.
    mismatches: int
    #: The largest difference, in quantisation steps.
    largest: int
    #: The same of each output, in the model's order; empty in older records.
    outputs: tuple[OutputDifference, ...] = ()


class Record(JudgedModel):
    """Everything known of one measured cell."""

    cell: CellIdentity
    data: DataIdentity
    model: ModelRecord
    compilation: CompilationRecord
    measurement: MeasurementRecord
    #: Absent, with the reason in `accuracy_absent`, when there are no labels.
    accuracy: AccuracyRecord | None = None
    accuracy_absent: str = ""
    #: Absent, with the reason in `reference_absent`, for a target that executes nothing itself.
    reference: ReferenceRecord | None = None
    reference_absent: str = ""
    #: Share of cycles of the layers each resource binds; see `bench.judging.sweep.CellBinding`.
    binding: dict[str, float]
    #: Of the timing profile's content; empty in older records.
    timing_sha256: str = ""
    #: Of the bench's own code that shaped the measurement; empty in older records.
    code_sha256: str = ""
    #: The figures that the target gives of every model, by its capabilities and this test set. A
    #: limit on one of them whose figure is missing is a failure. None: all of them.
    promised: tuple[MetricName, ...] | None = None
    verdicts: tuple[Verdict, ...] = Field(default=())


class UnmeasuredRecord(JudgedModel):
    """A cell of which nothing is known, and why. It keeps its name in every report."""

    cell: CellIdentity
    #: UNAVAILABLE where the target cannot be had; INCOMPLETE, a failure, for everything else.
    status: Literal[Status.UNAVAILABLE, Status.INCOMPLETE]
    #: The kind of error (`CompilerError`, `WorkerDied`).
    error: str
    reason: str
    #: What to do about it; empty where that is not known.
    cure: str = ""


class SweepRecord(JudgedModel):
    """The outcome of one MAC sweep."""

    id: str
    cells: tuple[str, ...]
    #: None, and the figures 0, where a cell of the sweep has no cycles; the verdict says why.
    binding: Binding | None = None
    efficiency: float = 0
    memory: str = ""
    memory_share: float = 0
    reason: str = ""
    #: How the sweep contradicts what binds the layers; empty where they agree.
    disagreement: str = ""
    #: What limits the cell of the largest accelerator, in the target's own words.
    explanation: str = ""
    verdict: Verdict
