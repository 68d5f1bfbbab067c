"""The output of Arm's own programs: the inference runners of MLEK and of ExecuTorch.

The formats are those in the programs' sources: MLEK from 21.03 on (three forms of its profile, and
the `<metrics>` of its latest), and ExecuTorch's performance monitor. Lines are read as they arrive.
Only what matters is kept, because a log may be endless.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from targets.ethos_u55.pmu_events import CYCLE_COUNTER_BITS, EVENT_NUMBERS
from targets.jobs.errors import AnswerError

__all__ = ["LineReader", "RunnerLog", "executorch_log", "mlek_log"]

#: Longer lines are cut. MLEK's metrics are one line of a few KiB.
_LINE_MAX = 64 << 10
_PREFIX = "ETHOSU_PMU_"
#: MLEK's names for the cycle counter and for derived counts.
_MLEK_NAMES = {"ACTIVE": "NPU_ACTIVE", "IDLE": "NPU_IDLE", "TOTAL": "CYCLE"}
_COUNT_MAX = 1 << CYCLE_COUNTER_BITS

_MLEK_COUNTS = (
    re.compile(r"\bNPU (?P<name>[A-Z0-9_]+): (?P<count>[0-9]{1,20}) (?:cycles|beats)\b"),
    re.compile(r"\bNPU (?P<name>[A-Z0-9_]+) (?:cycles|beats): (?P<count>[0-9]{1,20})\b"),
    re.compile(r"\b(?P<name>Active|Idle|Total) NPU cycles: *(?P<count>[0-9]{1,20})\b"),
)
_METRICS = re.compile(r"<metrics>([A-Za-z0-9+/=]*)</metrics>")
_MACS = re.compile(r"\bMACs/cc: *([0-9]{1,6})\b")
_INFERENCES = re.compile(r"Total number of inferences: ([0-9]{1,9})\b")

_ET_CYCLES = re.compile(
    r"ethosu_pmu_cycle_cntr *: *([0-9]{1,20})"
    r"(?: *\(([0-9]{1,20}(?:\.[0-9]{1,9})?) per inference\))?"
)
_ET_COUNT = re.compile(r"ethosu_pmu_cntr([0-3]) *: *([0-9]{1,20})\b")
_ET_EVENTS = re.compile(r"Ethos-U PMU Events: *\[([^\]]{1,400})\]")

#: What the programs print when they fail, and what that means; MLEK, its drivers, TFLite-Micro.
_ERRORS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"npu\.macs_per_cc=([0-9]+), ?optimizer\.macs_per_cc=([0-9]+)"),
        r"the NPU has \1 MACs/cc, the model was compiled for \2",
    ),
    (
        re.compile(
            r"Arm Ethos-U NPU initialisation failed|Failed to initiali[sz]e Ethos-U device"
            r"|Driver has not been compiled for this product"
        ),
        "the program found no Ethos-U NPU it can use",
    ),
    (
        re.compile(r"NPU status=(0x[0-9a-fA-F]{1,8}), qread=([0-9]{1,10})"),
        r"the NPU stopped with STATUS \1 at byte \2 of the command stream",
    ),
    (re.compile(r"NPU inference timed out"), "the NPU did not finish in the time of the driver"),
    (
        re.compile(r"NPU (?:config|arch) mismatch\. ([^\r\n]{1,100})"),
        r"the model was compiled for another NPU: \1",
    ),
    (
        re.compile(r"Failed to initiali[sz]e timing-adapter #?([0-9]+)"),
        r"the program could not set timing adapter \1: it was built for a platform that has one",
    ),
    (
        re.compile(r"Failed to allocate tensors"),
        "the program's tensor arena is too small for the model",
    ),
    (
        re.compile(r"Failed to initiali[sz]e model"),
        "the program could not read the model, or has no kernel for one of its operators",
    ),
    (re.compile(r"Inference failed\.|Invoke failed\."), "the inference failed on the device"),
)
#: What the programs print last.
_END_MARKS = ("EXITTHESIM", "\x04")


class LineReader:
    """Cuts a stream of bytes into lines without their ends. Holds at most one line."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that `data` completes."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        self._pending = self._pending[:_LINE_MAX]
        for line in lines:
            yield _text(line)

    def finish(self) -> Iterator[str]:
        """A last line without an end."""
        if self._pending:
            yield _text(self._pending)
        self._pending = b""


def _text(line: bytes) -> str:
    return line[:_LINE_MAX].decode("utf-8", "replace").rstrip("\r")


@dataclass
class RunnerLog:
    """What a program has printed so far."""

    #: Arm's event name -> count.
    counters: dict[str, int] = field(default_factory=dict)
    #: The MACs per cycle that the program found.
    macs: int | None = None
    #: How many inferences it says it made.
    completed: bool = False
    inferences: int | None = None
    #: The program is at its end.
    ended: bool = False
    #: The first failure, in words.
    error: str = ""
    #: Events that were printed twice with different counts.
    contradictions: list[str] = field(default_factory=list)
    #: ExecuTorch: counts by counter, and the events that they count.
    raw: dict[int, int] = field(default_factory=dict)
    selected: tuple[str, ...] = ()

    def count(self, name: str, value: int) -> None:
        """Take a count; names that are not events of an Ethos-U55 are ignored."""
        name = name.removeprefix(_PREFIX)
        name = _MLEK_NAMES.get(name.upper(), name)
        if name not in EVENT_NUMBERS or not 0 <= value < _COUNT_MAX:
            return
        if self.counters.setdefault(name, value) != value and len(self.contradictions) < 10:
            self.contradictions.append(f"{name} {self.counters[name]} and {value}")

    def common(self, line: str) -> None:
        """Take what every program may print: a failure, or its end."""
        if not self.error:
            for pattern, meaning in _ERRORS:
                match = pattern.search(line)
                if match is not None:
                    self.error = match.expand(meaning)
                    break
        self.ended = self.ended or any(mark in line for mark in _END_MARKS)

    def require_sound(self, program: str) -> None:
        """Raise `AnswerError` unless one inference went well and nothing contradicts itself."""
        if self.error:
            raise AnswerError(f"{program}: {self.error}")
        if self.contradictions:
            raise AnswerError(f"{program} contradicts itself: {'; '.join(self.contradictions)}")
        if self.inferences not in (None, 1):
            raise AnswerError(
                f"{program} made {self.inferences} inferences; counters are for one",
                cure="build the program so that it makes one",
            )


def mlek_log(log: RunnerLog, line: str) -> None:
    """Take a line from MLEK."""
    log.common(line)
    for pattern in _MLEK_COUNTS:
        match = pattern.search(line)
        if match is not None:
            log.count(match["name"], int(match["count"]))
            break
    metrics = _METRICS.search(line)
    if metrics is not None:
        _take_metrics(log, metrics[1])
    macs = _MACS.search(line)
    if macs is not None:
        log.macs = int(macs[1])
    if "Inference completed." in line:
        log.completed = True
    inferences = _INFERENCES.search(line)
    if inferences is not None:
        log.inferences = int(inferences[1])


def _take_metrics(log: RunnerLog, text: str) -> None:
    """MLEK's `<metrics>`: base64 of JSON, groups of samples with a list of values each."""
    try:
        groups = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        log.error = log.error or "its metrics are damaged"
        return
    for sample in _samples(groups):
        name, values = sample.get("name"), sample.get("value")
        if isinstance(name, str) and isinstance(values, list) and len(values) == 1:
            value = values[0]
            if isinstance(value, int) and not isinstance(value, bool):
                log.count(name.removeprefix("NPU "), value)


def _samples(groups: Any) -> Iterator[dict[str, Any]]:
    for group in groups if isinstance(groups, list) else [groups]:
        samples = group.get("samples") if isinstance(group, dict) else None
        for sample in samples if isinstance(samples, list) else []:
            if isinstance(sample, dict):
                yield sample


def executorch_log(log: RunnerLog, line: str) -> None:
    """Take a line from ExecuTorch."""
    log.common(line)
    cycles = _ET_CYCLES.search(line)
    if cycles is not None:
        log.completed = True
        log.count("CYCLE", int(cycles[1]))
        if cycles[2] is not None and float(cycles[2]) > 0:
            log.inferences = round(int(cycles[1]) / float(cycles[2]))
    count = _ET_COUNT.search(line)
    if count is not None:
        log.raw[int(count[1])] = int(count[2])
    events = _ET_EVENTS.search(line)
    if events is not None:
        log.selected = tuple(name.strip() for name in events[1].split(","))
    # The names may come before the counts or after them.
    for index, name in enumerate(log.selected[:4]):
        if index in log.raw:
            log.count(name, log.raw[index])
