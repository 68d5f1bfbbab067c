"""Runners whose answer is a log for people: Arm's MLEK, and ExecuTorch.

MLEK's inference runner (built with dynamic memory load) takes model and input from memory and
leaves the output there. A program with the model built in, such as any of ExecuTorch's, gives only
counters. Outputs then come from the reference interpreter, and are labelled so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.core.arrays import Array
from bench.tflite.reference import Reference
from targets.artefact import ModelTensor, load_artefact
from targets.ethos_u55.pmu_events import EVENT_NUMBERS
from targets.fvp.axf import Programs
from targets.fvp.errors import MissingAnswerError
from targets.fvp.launch import Outcome
from targets.fvp.runner_log import LineReader, RunnerLog, executorch_log, mlek_log
from targets.jobs.errors import AnswerError, JobError
from targets.protocol import Job, Measurement, Source

__all__ = ["EXECUTORCH", "MLEK", "LoggedRunner", "Program"]

#: Where MLEK's inference runner expects its inputs and leaves its output, and their largest sizes.
_MODEL, _IFM, _OFM = 0x9000_0000, 0x9200_0000, 0x9300_0000
_MODEL_BYTES, _TENSOR_BYTES = 32 << 20, 16 << 20
_FILES = ("program.axf", "model.tflite", "ifm.bin", "ofm.bin")


@dataclass(frozen=True)
class Program:
    """A kind of program: its name, how its lines are read, what it can count."""

    name: str
    take: Callable[[RunnerLog, str], None]
    events: frozenset[str]
    #: Whether model and input can be put into memory, and the output fetched from there.
    dynamic: bool


_BEATS = (
    "AXI0_RD_DATA_BEAT_RECEIVED",
    "AXI0_WR_DATA_BEAT_WRITTEN",
    "AXI1_RD_DATA_BEAT_RECEIVED",
)
MLEK = Program(
    "MLEK's inference runner",
    mlek_log,
    frozenset({"NPU_ACTIVE", "NPU_IDLE", "CYCLE", *_BEATS}),
    dynamic=True,
)
#: Its build decides which four events it counts in addition to the cycles.
EXECUTORCH = Program("ExecuTorch's runner", executorch_log, frozenset(EVENT_NUMBERS), dynamic=False)


class LoggedRunner:
    """Runs a `Program` of the user's."""

    def __init__(self, program: Program, programs: Programs, reference: Reference) -> None:
        self._program = program
        self._programs = programs
        self._reference = reference

    @property
    def events(self) -> frozenset[str]:
        """The events that the program is known to print."""
        return self._program.events

    @property
    def no_streams(self) -> str:
        """A program that is given one input is started anew for each."""
        # Otherwise the reference computes the outputs.
        return f"{self._program.name} makes one inference" if self.executes_artefact else ""

    @property
    def executes_artefact(self) -> bool:
        """Whether the compiled model itself is loaded, and its output fetched."""
        return self._program.dynamic and not self._programs.one_each

    def identity(self) -> Mapping[str, str]:
        """The hash of the program or programs, and the reference if it computes the outputs."""
        program = {"program": self._programs.identity()}
        return program if self.executes_artefact else {**program, **self._reference.fingerprint()}

    def open(self, job: Job) -> LoggedJob:
        """Begin `job`. Raises `JobError` for a model that the program cannot take."""
        program = self._programs.of(job)
        if self.executes_artefact:
            return DynamicJob(self._program, program, job)
        return LoggedJob(self._program, program, job, self._reference)


class LoggedJob:
    """A job whose program holds the model: one process, counters only."""

    def __init__(
        self, program: Program, content: bytes, job: Job, reference: Reference | None = None
    ) -> None:
        self._program = program
        self._content = content
        self._job = job
        self._reference = reference
        self._done: list[LoggedProcess] = []

    def processes(self) -> Iterator[LoggedProcess]:
        """See `RunnerJob.processes`."""
        process = LoggedProcess(self._program, {_FILES[0]: self._content}, ("-a", _FILES[0]))
        yield process
        self._done.append(process)

    def measurement(self, source: Source, provenance: Mapping[str, str]) -> Measurement:
        """See `RunnerJob.measurement`."""
        if self._reference is None:
            raise AssertionError("a job without outputs of its own needs a reference")
        reference = self._reference(self._job.source_model, self._job.inputs)
        told = (
            f"the reference interpreter, {reference.interpreter}: the program holds its model and "
            "returns no outputs"
        )
        outputs = {} if reference.absent else {"outputs": told}
        measured = self._measured(source, reference.outputs, {**outputs, **provenance})
        return replace(measured, outputs_absent=reference.absent)

    def _measured(
        self, source: Source, outputs: tuple[Array, ...], provenance: Mapping[str, str]
    ) -> Measurement:
        logs = [process.log for process in self._done]
        counted = logs[0].counters
        if any(log.counters != counted for log in logs):
            raise AnswerError(
                f"{self._job.cell_id}: inferences differ in their counters, though an NPU's time "
                "does not depend on its input"
            )
        reason = f"{self._program.name} did not print it"
        return Measurement(
            source=source,
            outputs=outputs,
            counters={name: counted[name] for name in self._job.events if name in counted},
            unavailable={name: reason for name in self._job.events if name not in counted},
            provenance={
                "timing": "the program sets the timing adapters; the cell's profile is not used",
                **provenance,
            },
        )


class DynamicJob(LoggedJob):
    """A job whose model and input are put into memory: one process per input."""

    def __init__(self, program: Program, content: bytes, job: Job) -> None:
        super().__init__(program, content, job)
        artefact = load_artefact(job.compiled_model)
        self._model = job.compiled_model.read_bytes()
        inputs, outputs = artefact.inputs, artefact.outputs
        if len(inputs) != 1 or len(outputs) != 1:
            raise JobError(
                f"{artefact.name} has {len(inputs)} inputs and {len(outputs)} outputs; "
                f"{program.name} is given one of each",
                cure="use the bench's own firmware, or target sim",
            )
        self._output: ModelTensor = artefact.tensors[outputs[0]]
        size = max(artefact.tensors[inputs[0]].size, self._output.size)
        if len(self._model) > _MODEL_BYTES or size > _TENSOR_BYTES:
            raise JobError(
                f"{artefact.name} is too large for {program.name}: {len(self._model)} bytes of "
                f"model ({_MODEL_BYTES} fit), {size} of input or output ({_TENSOR_BYTES} fit)"
            )

    def processes(self) -> Iterator[LoggedProcess]:
        """One for each row."""
        axf, model, ifm, ofm = _FILES
        size = self._output.size
        arguments = (
            *("-a", axf, "--data", f"{model}@{_MODEL:#x}", "--data", f"{ifm}@{_IFM:#x}"),
            *("--dump", f"cpu0={ofm}@Memory:{_OFM:#x},{size}"),
        )
        for row in self._job.inputs[0]:
            data = np.ascontiguousarray(row).tobytes()
            contents = {axf: self._content, model: self._model, ifm: data}
            process = LoggedProcess(self._program, contents, arguments, (ofm, size))
            yield process
            self._done.append(process)

    def measurement(self, source: Source, provenance: Mapping[str, str]) -> Measurement:
        """See `RunnerJob.measurement`."""
        tensor = self._output
        rows = len(self._done)
        flat = np.frombuffer(b"".join(process.output for process in self._done), tensor.dtype)
        outputs = flat.reshape(rows, *tensor.shape[1:]).copy()
        told = f"the compiled model, run by {self._program.name}"
        return self._measured(source, (outputs,), {"outputs": told, **provenance})


class LoggedProcess:
    """One process of such a program; `output` is the file it left, if one is wanted."""

    def __init__(
        self,
        program: Program,
        files: Mapping[str, bytes],
        arguments: tuple[str, ...],
        wanted: tuple[str, int] | None = None,
    ) -> None:
        self._program = program
        self._files = files
        self._arguments = arguments
        self._wanted = wanted
        self._lines = LineReader()
        self.log = RunnerLog()
        self.output = b""

    @property
    def files(self) -> Mapping[str, bytes]:
        """Program, model, input."""
        return self._files

    @property
    def arguments(self) -> tuple[str, ...]:
        """Where they go."""
        return self._arguments

    def begin(self) -> None:
        """A new log."""
        self._lines, self.log, self.output = LineReader(), RunnerLog(), b""

    def take(self, data: bytes) -> bool:
        """Lines, cut anywhere. Never returns True: the memory dump follows the end of the log."""
        for line in self._lines.feed(data):
            self._program.take(self.log, line)
        return self.log.ended

    def finish(self, outcome: Outcome, directory: Path) -> None:
        """The counters, and the output if one is wanted."""
        for line in self._lines.finish():
            self._program.take(self.log, line)
        self.log.require_sound(self._program.name)
        if not self.log.completed or not self.log.counters:
            missing = "no inference" if not self.log.completed else "no counters"
            raise MissingAnswerError(f"{self._program.name} printed {missing}")
        if self._wanted is not None:
            name, size = self._wanted
            path = directory / name
            self.output = path.read_bytes() if path.is_file() else b""
            if len(self.output) != size:
                raise MissingAnswerError(
                    f"the output in memory was not dumped: {len(self.output)} of {size} bytes"
                )
