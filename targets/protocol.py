"""The protocol that every target implements, with its job and its measurement.

A target takes a compiled model and inputs, and returns outputs and counters. It never invents a
number: a counter that it cannot give is listed in `Measurement.unavailable` with the reason, and is
absent from `Measurement.counters`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol, runtime_checkable

from bench.compiler import VelaReport
from bench.core.arrays import Array
from bench.core.errors import BenchError
from bench.core.schema import RecordModel
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.timing_profiles import TimingProfile

__all__ = [
    "BatchTarget",
    "Capabilities",
    "Job",
    "LayerCycles",
    "Measurement",
    "Source",
    "Target",
    "Uncertainty",
]


class Source(str, Enum):
    """Where a measurement's counters come from. Shown with every figure."""

    ESTIMATE = "estimate"
    SIMULATED = "simulated"
    FVP = "fvp"
    BOARD = "board"


@dataclass(frozen=True)
class Capabilities:
    """What a target can do, stated before anything is run on it."""

    name: str
    #: The source of its measurements; `SIMULATED` on our virtual platform, whatever it stands for.
    source: Source
    #: The events that the target can count, by Arm's names.
    events: frozenset[str]
    #: Whether outputs come from executing the compiled artefact itself.
    executes_artefact: bool
    accelerators: frozenset[Accelerator] = frozenset(Accelerator)
    memory_modes: frozenset[MemoryMode] = frozenset(MemoryMode)
    #: How many inputs of a test set it takes at most; None = all of them.
    samples: int | None = None
    #: Why it cannot run streams, in which state lasts from step to step; empty if it can.
    no_streams: str = ""


@dataclass(frozen=True)
class Job:
    """One run: a compiled model, the batch of inputs, and the events wanted.

    `inputs` has one array for each model input, of shape `[n, ...]`: the model's own shape, with
    its batch dimension of 1 replaced by `n`, in the model's dtype (int8, uint8, int16, ...). Rows
    are independent. Streams are `[n, steps, ...]`: each step continues from the state of the last,
    and every stream starts from the model's initial state. The measurement's outputs have the same
    leading dimensions.
    """

    cell_id: str
    accelerator: Accelerator
    memory_mode: MemoryMode
    #: The quantised model that Vela compiled.
    source_model: Path
    #: What Vela wrote, and its version.
    compiled_model: Path
    vela_version: str
    report: VelaReport
    #: The memories behind the AXI ports, for targets that simulate or set them, and its name.
    timing: TimingProfile
    timing_name: str
    inputs: Sequence[Array]
    events: Sequence[str]


class LayerCycles(RecordModel):
    """One operation of the command stream, in estimated NPU cycles; records hold it unchanged.

    The parts overlap; `total` is what the operation adds to NPU_ACTIVE.
    """

    #: What it is, what it makes, and the word of the stream that issues it; unique.
    name: str
    compute: int
    weight_decode: int
    flash: int
    sram: int
    issue: int
    total: int
    #: `compute`, `weight decode`, `flash`, `sram`, `latency` or `issue`.
    bound_by: str
    #: The layer of the network that it belongs to; empty if that is not known.
    layer: str = ""
    #: Vela's estimate of what it scheduled as one; None for all but the first operation of that.
    vela_cycles: int | None = None
    #: What the layer was in the model that was compiled (`Conv2D`), and the name of what it gives.
    operator: str = ""
    tensor: str = ""
    #: The blocks in which its output is made, `height x width x depth`; empty for a copy.
    block: str = ""


class Uncertainty(RecordModel):
    """Between which counts an estimate could lie; records hold it unchanged.

    It says what the target's own open questions leave undecided, and is no bound on its error.
    """

    low: int
    high: int

    def shares(self, count: float) -> tuple[float, float]:
        """How far both ends lie from `count`, as shares of it: at most 0, and at least 0."""
        return ((self.low - count) / count, (self.high - count) / count) if count else (0.0, 0.0)


@dataclass(frozen=True)
class Measurement:
    """What a target answered. Counters are per inference; batches are never summed."""

    source: Source
    #: One array for each model output, `[n, ...]` or `[n, steps, ...]`; no array if the target
    #: cannot compute them.
    outputs: tuple[Array, ...]
    #: Arm's event name -> count for one inference.
    counters: Mapping[str, int]
    #: Arm's event name -> why this target cannot give it.
    unavailable: Mapping[str, str] = field(default_factory=dict)
    #: Arm's event name -> `exact`, `modelled` or `estimate`; nothing has verified the last two.
    #: Counters that a target measured are not listed.
    kinds: Mapping[str, str] = field(default_factory=dict)
    #: Arm's event name -> what is undecided about its count, for estimates that can tell.
    uncertainty: Mapping[str, Uncertainty] = field(default_factory=dict)
    #: What no published figure supports, each in a word or two: `int16`, `Sram_Only`.
    unsupported: tuple[str, ...] = ()
    #: Where the cycles go, operation by operation; empty for a target that cannot tell.
    layers: tuple[LayerCycles, ...] = ()
    #: What binds the network and what would help, in words; empty for such a target.
    explanation: str = ""
    #: Why there are no outputs; empty if there are.
    outputs_absent: str = ""
    #: Everything a reader needs to reproduce the figures: tool versions, hashes, command.
    provenance: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Target(Protocol):
    """A place where compiled models run.

    `capabilities` may be called at any time. `prepare` is called once before the first `run` and
    raises `PrerequisiteError` when the target cannot work here. `close` is always called, once.
    """

    def capabilities(self) -> Capabilities:
        """What the target can do; cheap, and the same at any time."""
        ...

    def fingerprint(self) -> Mapping[str, str]:
        """What a measurement depends on besides the job and our code: versions, firmware, settings.

        It is part of the key under which measurements are stored, so two targets with equal
        fingerprints must give equal measurements. The code need not be named: everything that the
        module of the target's class imports is part of the key, and so are its `programs`.
        """
        ...

    def programs(self) -> Sequence[str]:
        """Modules of ours that shape a measurement without being imported by the target's module.

        They are entry points of programs that stand in for the device. Most targets have none.
        """
        ...

    def prepare(self) -> None:
        """Make the target ready. Raises `PrerequisiteError` when it cannot work here."""
        ...

    def run(self, job: Job) -> Measurement:
        """Run `job`. Raises `TargetError` when the target fails or the job does not fit it."""
        ...

    def close(self) -> None:
        """Release what `prepare` and `run` acquired. May be called without either."""
        ...


@runtime_checkable
class BatchTarget(Target, Protocol):
    """A target that starts so slowly that jobs should be given to it together."""

    def run_batch(self, jobs: Sequence[Job]) -> Iterator[tuple[int, Measurement | BenchError]]:
        """Run `jobs`; yields each job's index, once, with its outcome, as soon as it is known.

        Raises nothing itself: the failure of a job is the outcome of that job.
        """
        ...
