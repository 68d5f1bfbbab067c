"""The answer to a what-if in words and rows, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.core.text import one_line
from bench.core.units import KIB
from bench.plan.metrics import MetricName
from bench.records.figures import Number
from bench.tflite.compression.layers import Choice
from bench.tflite.compression.points import Spacing
from bench.whatif.answer import CellAnswer, PointAnswer, WhatIfAnswer
from bench.whatif.knee import NEAR, Gain
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

__all__ = [
    "Rows",
    "break_even_rows",
    "closing",
    "cycle_rows",
    "knee_words",
    "memory_modes",
    "opening",
    "output_rows",
    "size_rows",
]

#: The accelerator whose sizes are shown; they hardly depend on it.
_SHOWN = Accelerator.U55_128
_ABSENT = "-"
#: Layers that are named before "and 3 more".
_NAMED = 4


@dataclass(frozen=True)
class Rows:
    """A table: the first column is text, and so is the last if `last_is_text`."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    last_is_text: bool = False


def opening(answer: WhatIfAnswer, name: Callable[[str], str] = one_line) -> list[str]:
    """What was asked, a sentence each. `name` makes a name from outside safe to show."""
    chosen = [layer for layer in answer.layers if layer.choice is Choice.CHOSEN]
    share = sum(layer.weights for layer in chosen) / sum(layer.weights for layer in answer.layers)
    data = answer.data
    streams = "" if data.steps is None else f" streams of {data.steps:,} steps"
    lines = [
        f"{name(answer.model)}: {answer.size_bytes / KIB:,.1f} KiB, Vela "
        f"{answer.vela_version}, data: {name(data.name)} ({data.samples:,}{streams})",
        f"compressed: {len(chosen)} of {len(answer.layers)} layers with weights, "
        f"{share:.0%} of the weights",
    ]
    for choice in Choice:
        left = [layer.name for layer in answer.layers if layer.choice is choice]
        if left and choice is not Choice.CHOSEN:
            lines.append(f"{choice.value}: {_listed(left, name)}")
    if any(point.clusters is not None for point in answer.points):
        spaced = "evenly spaced" if answer.spacing is Spacing.LINEAR else "those nearest to them"
        whose = "an output channel" if answer.clusters_per_channel else "a layer"
        lines.append(f"values that the weights of {whose} share: {spaced}")
    return lines


def memory_modes(answer: WhatIfAnswer) -> tuple[MemoryMode, ...]:
    """The memory modes, in the order of the answer."""
    return tuple(dict.fromkeys(cell.memory_mode for cell in answer.cells))


def size_rows(answer: WhatIfAnswer, mode: MemoryMode) -> Rows:
    """The sizes of each point in a memory mode, in KiB."""
    cells = _cells(answer, mode)
    macs = sorted({key for _, key in cells})
    shown = _SHOWN if _SHOWN in macs else macs[-1]
    base = cells[answer.points[0].point, shown]
    rows = []
    for point in answer.points:
        cell = cells[point.point, shown]
        rows.append(
            (
                point.words,
                _shown(cell, MetricName.ENCODED_WEIGHTS, 1),
                _ratio(cell, base, MetricName.ENCODED_WEIGHTS),
                *(
                    _shown(cell, metric, 1)
                    for metric in (MetricName.DEVICE_MODEL, MetricName.FLASH, MetricName.SRAM)
                ),
            )
        )
    headings = ("", "encoded weights", "of as it is", "device model", "flash", "SRAM")
    return Rows(headings, tuple(rows))


def cycle_rows(answer: WhatIfAnswer, mode: MemoryMode) -> Rows:
    """The cycles of each point in a memory mode; a knee is marked with a star."""
    cells = _cells(answer, mode)
    macs = sorted({key for _, key in cells})
    sweeps = {one.point: one for one in answer.sweeps if one.memory_mode is mode}
    knees = {
        (one.point, one.macs)
        for one in answer.knees
        if one.memory_mode is mode and one.gain is Gain.KNEE
    }
    rows = []
    for point in answer.points:
        sweep = sweeps.get(point.point)
        bound = cells[point.point, macs[-1]].bound_by
        if sweep is not None:
            bound = sweep.memory or sweep.binding
        rows.append(
            (
                point.words,
                *(
                    _shown(cells[point.point, each], MetricName.NPU_CYCLES, 0)
                    + ("*" if (point.point, each) in knees else " ")
                    for each in macs
                ),
                bound or _ABSENT,
            )
        )
    return Rows(("", *(f"@{int(each)} " for each in macs), "bound by"), tuple(rows), True)


def _cells(answer: WhatIfAnswer, mode: MemoryMode) -> dict[tuple[str, Accelerator], CellAnswer]:
    return {(cell.point, cell.macs): cell for cell in answer.cells if cell.memory_mode is mode}


def output_rows(answer: WhatIfAnswer) -> Rows:
    """What each point does to the weights and to the outputs."""
    per_channel = answer.clusters_per_channel
    values = "values a channel" if per_channel else "values a layer"
    scored = any(point.accuracy is not None for point in answer.points)
    metric = next((p.accuracy.metric for p in answer.points if p.accuracy is not None), "")
    headings = ("", "zeros", values, *([one_line(metric)] if scored else []))
    rows = [
        (
            point.words,
            f"{point.zeros:.1%}",
            f"{point.distinct_in_channel if per_channel else point.distinct}",
            *([_accuracy(point)] if scored else []),
            *_distance(point),
        )
        for point in answer.points
    ]
    return Rows((*headings, "outputs changed", "by at most", "cosine"), tuple(rows))


def break_even_rows(
    answer: WhatIfAnswer,
    mode: MemoryMode,
    most: int | None = None,
    name: Callable[[str], str] = one_line,
) -> Rows:
    """The layers that wait for their weights in the model as it is; at most `most` of them."""
    words = {point.point: point.words for point in answer.points}
    mine = [each for each in answer.break_evens if each.memory_mode is mode]
    # What takes longest comes first, with all its MAC counts.
    longest: dict[str, int] = {}
    for each in mine:
        longest[each.layer] = max(longest.get(each.layer, 0), each.cycles)
    kept = sorted(longest, key=lambda layer: -longest[layer])[:most]
    rows = []
    for each in sorted(mine, key=lambda one: (-longest[one.layer], one.layer, one.macs)):
        if each.layer not in kept:
            continue
        below = "never"
        if each.below_kib is not None:
            below = f"{each.below_kib:.1f} KiB"
        elif each.share is not None:
            below = f"{each.share:.0%} of it"
        rows.append(
            (
                name(each.layer),
                str(int(each.macs)),
                f"{each.cycles:,}",
                f"{each.waiting:.0%}",
                _ABSENT if each.encoded_kib is None else f"{each.encoded_kib:.1f} KiB",
                below,
                _ABSENT if each.sparsity is None else f"{each.sparsity:.0%}",
                words[each.reached_by[0]] if each.reached_by else "no point",
            )
        )
    headings = ("layer", "MACs", "cycles", "waits", "encoded", "free below", "zeros", "reached by")
    return Rows(headings, tuple(rows), last_is_text=True)


def knee_words(answer: WhatIfAnswer, mode: MemoryMode) -> list[str]:
    """What the knees of a memory mode say; MAC counts that say the same are told together."""
    words = {point.point: point.words for point in answer.points}
    said: dict[str, list[str]] = {}
    for knee in answer.knees:
        if knee.memory_mode is not mode:
            continue
        if knee.gain is Gain.NONE:
            text = f"no time is saved (less than {NEAR:.0%})"
        elif knee.gain is Gain.FALLING:
            text = f"the cycles fall to the last point, {words[knee.point]}: -{knee.saved:.0%}"
        else:
            text = f"the knee is {words[knee.point]}: -{knee.saved:.0%}, and more saves no time"
        said.setdefault(text, []).append(str(int(knee.macs)))
    return [f"at {', '.join(macs)} MACs {text}" for text, macs in said.items()]


def closing(answer: WhatIfAnswer) -> list[str]:
    """What a reader must not forget."""
    first = answer.points[0]
    lines = []
    if first.accuracy is None:
        lines.append(
            f"The accuracy is not known ({first.accuracy_absent}): the outputs say how much "
            "changes, not what is lost. Train to know."
        )
    else:
        lines.append(
            "The accuracy is that without training, which usually wins back most of a loss. "
            "Train to know."
        )
    if first.distance is None:
        lines.append(f"There are no outputs to compare: {first.distance_absent}.")
    return [*lines, *(f"{remark}." for remark in answer.remarks)]


def _listed(names: Sequence[str], name: Callable[[str], str]) -> str:
    shown = ", ".join(map(name, names[:_NAMED]))
    more = len(names) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _shown(cell: CellAnswer, metric: MetricName, decimals: int) -> str:
    figure = cell.figures[metric]
    return f"{figure.value:,.{decimals}f}" if isinstance(figure, Number) else _ABSENT


def _ratio(cell: CellAnswer, base: CellAnswer, metric: MetricName) -> str:
    one, whole = cell.figures[metric], base.figures[metric]
    if not isinstance(one, Number) or not isinstance(whole, Number) or not whole.value:
        return _ABSENT
    return f"{one.value / whole.value:.0%}"


def _accuracy(point: PointAnswer) -> str:
    return _ABSENT if point.accuracy is None else f"{point.accuracy.value:.4f}"


def _distance(point: PointAnswer) -> Iterable[str]:
    found = point.distance
    if found is None:
        return (_ABSENT,) * 3
    cosine = _ABSENT if found.cosine is None else f"{found.cosine:.4f}"
    return (f"{found.changed:.1%}", f"{found.largest:,}", cosine)
