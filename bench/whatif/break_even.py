"""The layers of a compiled model that wait for their weights, and when they would not."""

from __future__ import annotations

from functools import partial

from bench.core.schema import RecordModel
from bench.core.units import KIB
from targets.ethos_u55.ports import PortMap
from targets.protocol import Job
from targets.sim import names_of
from targets.simulator.simulator import Simulator
from targets.simulator.timing.break_even import break_even
from targets.simulator.timing.layers import layers_of
from targets.simulator.weights.count import weight_stream

__all__ = ["LayerBreakEven", "break_evens"]


class LayerBreakEven(RecordModel):
    """A layer that waits for its weights, by the simulator's estimate."""

    layer: str
    cycles: int
    #: Share of them in which the multipliers wait for weights, 0..1.
    waiting: float
    #: The encoded weights as they are, in KiB; None if they are not found (Vela copies them first).
    encoded_kib: float | None
    #: Below which share of that the layer is compute-bound; None if smaller weights alone do not
    #: make it so.
    share: float | None
    #: The same in KiB; None without `encoded_kib`.
    below_kib: float | None
    #: About which share of the weights is zero then, 0..1; None if the formula does not hold.
    sparsity: float | None


def break_evens(job: Job, max_size: float) -> tuple[LayerBreakEven, ...]:
    """The layers of a job's model that wait for their weights; those that take longest first.

    `max_size` is that of the target's settings. Raises as `Simulator` and `names_of` do.
    """
    ports = PortMap.for_memory_mode(job.memory_mode)
    simulator = Simulator(job.compiled_model, job.accelerator, ports, max_size=max_size)
    operators = simulator.artefact.npu_operators
    if not operators:
        return ()
    timing = simulator.timing(job.memory_mode, job.timing)
    names = names_of(simulator.artefact, job.compiled_model, job.source_model)
    what_if = partial(simulator.timing, job.memory_mode, job.timing)
    found = []
    for layer in layers_of(timing, names):
        if not layer.waits_for_weights:
            continue
        even = break_even(layer, timing, what_if, partial(weight_stream, operators))
        stream = weight_stream(operators, layer.weight_indices)
        below = None if even is None else even.encoded_bytes
        found.append(
            LayerBreakEven(
                layer=layer.name,
                cycles=round(layer.total),
                waiting=layer.waiting,
                encoded_kib=None if stream is None else stream.encoded_bytes / KIB,
                share=None if even is None else even.share,
                below_kib=None if below is None else below / KIB,
                sparsity=None if even is None else even.sparsity,
            )
        )
    return tuple(sorted(found, key=lambda each: -each.cycles))
