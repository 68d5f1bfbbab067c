"""Target `sim`: the project's own Ethos-U55, executing the compiled model itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from bench.cell import MemoryMode
from bench.fingerprint import source_fingerprint
from targets.checkup import Finding, found
from targets.protocol import Capabilities, Job, LayerCycles, Measurement, Source
from targets.settings import TargetSettings
from targets.simulator.operations import BlockOperation, Operation
from targets.simulator.simulator import Simulator
from targets.simulator.timing import PROFILES, Bound, NetworkTiming, OperationTiming, estimate
from targets.simulator.timing.events import pmu_events
from targets.simulator.traffic import PortMap

__all__ = ["SimulatorTarget", "check_sim", "layer_cycles"]

_ALL_ON_CPU = "nothing of this model runs on the NPU: Vela left every operator to the CPU"


class SimulatorTarget:
    """The simulator behind the `Target` protocol."""

    def capabilities(self) -> Capabilities:
        """Every accelerator and memory mode; the events that are counted or modelled."""
        return Capabilities(
            name="sim", source=Source.SIMULATED, events=_events(), executes_artefact=True
        )

    def fingerprint(self) -> Mapping[str, str]:
        """The simulator's sources, and the interpreters that run what Vela left to the CPU."""
        return {
            "target": source_fingerprint("targets.sim"),
            "simulator": source_fingerprint("targets.simulator"),
            "tflite-micro": version("tflite-micro"),
            "ai-edge-litert": version("ai-edge-litert"),
        }

    def prepare(self) -> None:
        """Nothing to prepare: the simulator needs no installation."""

    def run(self, job: Job) -> Measurement:
        """Execute the compiled model on the job's inputs, and estimate how long one takes.

        Raises `TargetError` when it was compiled for another accelerator, when its command
        stream asks for what the NPU cannot do (naming word and operation), or when the inputs do
        not fit; `ModelError` when the file cannot be read.
        """
        ports = PortMap.for_memory_mode(job.memory_mode)
        simulator = Simulator(job.compiled_model, job.accelerator, ports)
        outputs = simulator.run(job.inputs).outputs
        if not simulator.artefact.npu_operators:
            return Measurement(
                source=Source.SIMULATED,
                outputs=outputs,
                counters={},
                unavailable=dict.fromkeys(job.events, _ALL_ON_CPU),
                provenance={"outputs": "the operators Vela left to the CPU: all of them"},
            )
        timing = simulator.timing(job.memory_mode, job.timing)
        counters, unavailable = _counted(timing, job.events)
        return Measurement(
            source=Source.SIMULATED,
            outputs=outputs,
            counters=counters,
            unavailable=unavailable,
            layers=layer_cycles(timing),
            provenance={
                "outputs": "the compiled model, executed by targets.simulator",
                "traffic": f"traffic model, QCONFIG {ports.qconfig}, REGIONCFG {ports.regioncfg}",
                "cycles": f"estimate of the cycle model, timing profile {job.timing_name}",
            },
        )

    def close(self) -> None:
        """Nothing to close."""


def check_sim(settings: TargetSettings, logs: Path, *, boot: bool) -> Iterator[Finding]:
    """See `Checkup`."""
    yield found("interpreters", f"tflite-micro {version('tflite-micro')}, for CPU operators")


def layer_cycles(timing: NetworkTiming) -> tuple[LayerCycles, ...]:
    """A row for every operation that takes time; estimated NPU cycles."""
    return tuple(
        LayerCycles(
            name=_name(row.operation),
            compute=round(row.compute),
            weight_decode=round(row.weight_decode),
            flash=round(row.flash),
            sram=round(row.sram),
            issue=round(row.issue),
            total=round(row.total),
            bound_by=row.bound_by.value.lower(),
        )
        for row in timing.operations
        if _takes_time(row)
    )


def _counted(timing: NetworkTiming, wanted: Sequence[str]) -> tuple[dict[str, int], dict[str, str]]:
    """The counts of the `wanted` events, and why the others have none."""
    events = {event.name: event for event in pmu_events(timing)}
    counters: dict[str, int] = {}
    unavailable: dict[str, str] = {}
    for name in wanted:
        event = events.get(name)
        if event is None:
            unavailable[name] = "an Ethos-U55 has no event of this name"
        elif event.value is None:
            unavailable[name] = f"not modelled: {event.reason}"
        else:
            counters[name] = event.value
    return counters, unavailable


def _takes_time(row: OperationTiming) -> bool:
    return row.bound_by is not Bound.NOTHING and (
        isinstance(row.operation, BlockOperation) or round(row.total) > 0
    )


def _name(operation: Operation) -> str:
    """What it is, what it makes, and the word of the command stream that issues it."""
    made = ""
    if isinstance(operation, BlockOperation):
        ofm = operation.ofm
        made = f" {ofm.height}x{ofm.width}x{ofm.depth}"
    return f"{type(operation).__name__}{made} @{operation.word}"


@cache
def _events() -> frozenset[str]:
    """The events that have a value, whatever the model; those of an empty stream tell."""
    nothing = estimate((), 0, 32, MemoryMode.SHARED_SRAM, PROFILES["ideal"])
    return frozenset(event.name for event in pmu_events(nothing) if event.value is not None)
