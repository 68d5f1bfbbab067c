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
from bench.core.schema import RecordModel, needless_if_plain
from bench.core.text import one_line
from bench.plan.cell import INSTALLED_VELA, Cell
from bench.plan.config import Binding
from bench.plan.metrics import MetricName
from bench.records.figures import Category, Figure, Number, shown
from bench.records.measurement import MeasurementRecord
from bench.records.migration import migrated
from bench.records.quality import AccuracyRecord, ReferenceRecord
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = [
    "CellIdentity",
    "CompilationRecord",
    "DataIdentity",
    "JudgedModel",
    "ModelRecord",
    "Record",
    "Status",
    "SweepRecord",
    "UnmeasuredRecord",
    "Verdict",
]


class Status(str, Enum):
    """The outcome of one judgement."""

    PASS = "pass"
    FAIL = "fail"
    #: Better than the accepted figure, which is to be accepted anew.
    IMPROVED = "improved"
    #: A figure was measured, but nothing says what it should be.
    NO_BASELINE = "no_baseline"
    #: A figure that the target should have given is missing.
    INCOMPLETE = "incomplete"
    #: The target cannot give the figure, and says why.
    UNAVAILABLE = "unavailable"


_FAILURES = (Status.FAIL, Status.INCOMPLETE, Status.FAIL.value, Status.INCOMPLETE.value)


def _with_failing(document: Any) -> Any:
    """`document` with what its status means, where nothing else is said, as in older records."""
    if isinstance(document, dict) and "fails" not in document:
        return {**document, "fails": document.get("status") in _FAILURES}
    return document


class Verdict(RecordModel):
    """One judgement of one figure of one cell or group."""

    status: Status
    #: Id of the cell or group.
    subject: str
    #: A `MetricName`, or `memory_bound`, `mac_sweep`, `variant_order`.
    metric: str
    measured: Figure
    #: What must accompany the figure, such as that it is an estimate; or empty.
    remark: str = ""
    #: The bound that the configuration states; None if there is none.
    limit: Number | Category | None = Field(default=None, discriminator="kind")
    #: The accepted figure with which it was compared; None if it was not.
    baseline: Number | Category | None = Field(default=None, discriminator="kind")
    #: The day on which that was accepted (`2026-11-29`), or empty.
    accepted: str = ""
    #: The largest difference from the baseline that does not count; None if any counts.
    tolerance: Number | None = None
    #: `at least`, `at most`, `exactly`, or empty.
    direction: str = ""
    reason: str
    #: The first difference between what both figures were made from; empty if nothing recorded
    #: differs, or if the figure did not change.
    cause: str = ""
    #: The command that makes this judgement again.
    reproduce: str
    #: The key of the configuration that states the bound (`workloads.x.limits[0].max`), or empty.
    key: str = ""
    #: Whether a missing figure was to be expected: the target never gives it, or it was accepted
    #: as missing.
    foreseen: bool = False
    #: Whether it makes the run fail; if nothing is said, by the status. In CI more does.
    fails: bool = False

    @model_validator(mode="before")
    @classmethod
    @needless_if_plain
    def _fails_by_its_status(cls, document: Any) -> Any:
        return _with_failing(document)

    @property
    def finding(self) -> str:
        """What was measured and what it should be, in a few words."""
        remark = f" ({self.remark})" if self.remark else ""
        wanted = f", must be {self.direction} {shown(self.limit)}" if self.limit else ""
        before = f", was {shown(self.baseline)}{self._change}" if self.baseline else ""
        return f"{self.metric} {shown(self.measured)}{remark}{wanted}{before}"

    @property
    def _change(self) -> str:
        """By how much it differs from the accepted figure: ` (+2.5 %)`."""
        match self.baseline, self.measured:
            case Number(value=before, unit=unit), Number(value=after) if after != before:
                # Of a share the difference says more: from 0.01 to 0.02 is hardly a change.
                if unit and before:
                    return f" ({(after - before) / abs(before):+.1%})"
                return f" ({after - before:+,.4g})"
        return ""

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
    @needless_if_plain
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

    #: `frozen`: a trained variant that is kept as a file.
    origin: Literal["trained", "frozen", "file"]
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
    #: Whether it makes the run fail; if nothing is said, by the status.
    fails: bool = False

    @model_validator(mode="before")
    @classmethod
    @needless_if_plain
    def _fails_by_its_status(cls, document: Any) -> Any:
        return _with_failing(document)


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
    #: Layer -> its own scaling efficiency, where the target tells.
    layers: dict[str, float] = Field(default_factory=dict)
    verdict: Verdict
    #: Against the accepted outcome, where there is one.
    baseline_verdict: Verdict | None = None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All its verdicts."""
        return (self.verdict, *(one for one in (self.baseline_verdict,) if one is not None))
