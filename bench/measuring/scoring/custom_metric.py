"""Metrics that a team defines itself: a function in a Python file of its own.

    def within_one(outputs, labels):
        return float((abs(outputs.argmax(axis=1) - labels) <= 1).mean())

It gets the judged output, `[n, ...]` in real values (float32, or integers if the model gives class
numbers), and the labels, `[n, ...]`. It returns one finite number. The file must stand alone: it
may import what is installed, but not its neighbours, because the bench runs a copy of it.

The function is foreign code, so it runs in a process of its own, with bounds.
"""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import numpy as np

from bench.core.arrays import save_array
from bench.core.errors import ModelError
from bench.core.processes import Bounds, TimedOutError, ended_words, run_to_end
from bench.core.processes.children import python_command
from bench.core.units import MIB
from bench.measuring.scoring.scores import Scored
from bench.plan.config import CustomMetric

__all__ = ["evaluate_custom"]

_BOUNDS = Bounds(seconds=300.0, memory_bytes=4096 * MIB)
#: Lines of what a failed function printed that are told.
_TOLD = 12

_PROGRAM = """
import importlib.util, json, sys
from pathlib import Path
import numpy

file, function, outputs, labels, answer = sys.argv[1:]
spec = importlib.util.spec_from_file_location("users_metric", file)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
# Copy on write: a function may work in place, and what it does not touch takes no memory.
arrays = [numpy.load(path, mmap_mode="c").view(numpy.ndarray) for path in (outputs, labels)]
value = getattr(module, function)(*arrays)
Path(answer).write_text(json.dumps(float(value)), encoding="utf-8")
"""


def evaluate_custom(metric: CustomMetric, scored: Scored) -> float:
    """What the team's function says of outputs and labels.

    Raises `ModelError`, which names file and function, when it fails, does not end, or does not
    return a finite number.
    """
    with tempfile.TemporaryDirectory(prefix="bench-metric-") as name:
        outputs, labels = Path(name, "outputs.npy"), Path(name, "labels.npy")
        answer = Path(name, "answer.json")
        real = scored.real(scored.stored[:1]).dtype
        save_array(outputs, scored.stored.shape, real, (part for part, _ in scored.parts()))
        np.save(labels, scored.labels)
        command = [
            *python_command(_PROGRAM),
            *(str(metric.file), metric.function, str(outputs), str(labels), str(answer)),
        ]
        try:
            ended = run_to_end(command, _BOUNDS, cwd=Path(name))
        except TimedOutError as error:
            raise _failed(metric, f"did not end in {_BOUNDS.seconds:.0f} s", "") from error
        if ended.status:
            words = "\n".join((ended.output + ended.errors).strip().splitlines()[-_TOLD:])
            raise _failed(metric, ended_words(ended.status), words)
        if not answer.exists():
            # The function has ended its process, with a status that tells of no fault.
            raise _failed(metric, "ended without an answer", "")
        value = float(json.loads(answer.read_text(encoding="utf-8")))
    if not math.isfinite(value):
        raise _failed(metric, f"returned {value}, which is not a finite number", "")
    return value


def _failed(metric: CustomMetric, what: str, words: str) -> ModelError:
    return ModelError(
        f"metric {metric.name}: {what}" + (f":\n{words}" if words else ""),
        cure="a metric takes (outputs, labels) and returns one finite number",
    )
