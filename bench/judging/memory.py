"""Cells that memory has come to bind: which layers wait, because of what, what would end it. Pure.

A network can become memory-bound while its cycles stay within their limits: it then gains nothing
from a larger NPU, and every further byte of weights costs time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.baselines.accepted import AcceptedCell
from bench.judging.making import made_verdict
from bench.judging.reproducing import Reproduce
from bench.plan.metrics import MetricName, describe
from bench.records.binding import MEMORIES, CellBinding
from bench.records.figures import Absent, Category, shown_number
from bench.records.layers import LayerSummary, layer_summaries, wait_shares
from bench.records.metric_values import metric_value
from bench.records.record import Record, Status, Verdict

__all__ = ["MEMORY_BOUND", "judge_memory_bound", "memory_story"]

#: The name of the judgement, and of the suite that makes it.
MEMORY_BOUND = "memory_bound"

#: Changes of the share that are no turn, although they cross the threshold.
_NO_TURN = 0.02
_LAYERS = 3
#: Figures whose growth can make a network wait: weights, where they are, and each port's traffic.
_CAUSES = (
    MetricName.ENCODED_WEIGHTS,
    MetricName.SRAM,
    MetricName.FLASH,
    MetricName.AXI0_READ,
    MetricName.AXI0_WRITE,
    MetricName.AXI1_READ,
)


def judge_memory_bound(
    record: Record,
    accepted: AcceptedCell,
    share: float,
    cause: Callable[[], str],
    reproduce: Reproduce,
) -> Verdict | None:
    """Whether the cell has turned from compute- to memory-bound; None if it is not known.

    `share` is the share of its cycles from which on a cell counts as memory-bound, and `cause`
    tells why its figures changed; empty if nothing recorded differs.
    """
    before = accepted.memory_share
    if before is None:
        return None
    now = CellBinding(record.binding).memory_share
    was, is_ = before >= share, now >= share
    turned = was != is_ and abs(now - before) > _NO_TURN
    status = (Status.FAIL if is_ else Status.IMPROVED) if turned else Status.PASS
    why = (
        f"layers that a memory binds take {now:.0%} of the cycles, {before:.0%} when accepted; "
        f"memory-bound from {share:.0%} on"
    )
    if status is Status.FAIL:
        why += f"; cause: {cause() or 'nothing recorded differs'}"
        why += memory_story(record, accepted)
    return made_verdict(
        status,
        record.cell.id,
        MEMORY_BOUND,
        _WORDS[is_],
        why,
        reproduce(MEMORY_BOUND, record.cell.id),
        {"baseline": _WORDS[was], "cause": cause() if turned else ""},
    )


#: Whether memory binds a cell -> in words.
_WORDS = {True: Category(value="memory-bound"), False: Category(value="not memory-bound")}


def memory_story(record: Record, accepted: AcceptedCell) -> str:
    """Which layers wait more than before, what grew with it, and what would end it."""
    shares = (f"{share:.0%} for {name}" for name, share in wait_shares(record).items())
    parts = [
        (
            "cycles that wait",
            ", ".join(shares),
        ),
        ("layers", ", ".join(_waiting(layer_summaries(record), accepted.layers))),
        ("what changed with it", ", ".join(_grown(record, accepted))),
        ("", record.measurement.explanation),
    ]
    return "".join(f"; {name}: {text}" if name else f"; {text}" for name, text in parts if text)


def _waiting(now: dict[str, LayerSummary], before: dict[str, LayerSummary]) -> Iterator[str]:
    """The layers that wait most beyond what they did, each with how it changed."""
    more = {
        name: layer.waits - (before[name].waits if name in before else 0)
        for name, layer in now.items()
    }
    for name in sorted(more, key=lambda name: -more[name])[:_LAYERS]:
        layer, old = now[name], before.get(name)
        if more[name] <= 0 or layer.bound not in MEMORIES:
            continue
        told = f"{name} waits {layer.waits:,} of its {layer.cycles:,} cycles for {layer.bound}"
        if layer.balance is not None:
            told += f" (intensity {layer.balance:.2f} of the machine's balance)"
        if old is None:
            told += ", is new"
        else:
            told += f", {old.waits:,} when accepted"
            if old.block and layer.block and old.block != layer.block:
                told += f", blocks {old.block} -> {layer.block}"
        yield told


def _grown(record: Record, accepted: AcceptedCell) -> Iterator[str]:
    for metric in _CAUSES:
        value, figure = metric_value(record, metric), accepted.figures.get(metric)
        if isinstance(value, Absent) or figure is None or value == figure.value:
            continue
        info = describe(metric)
        yield (
            f"{info.title} {shown_number(figure.value, info.unit)} -> "
            f"{shown_number(value, info.unit)}"
        )
