"""Target `sim`: the project's own Ethos-U55, executing the compiled model itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path

from bench.core.arrays import Array
from bench.tflite.reader import read_graph
from targets.artefact import Artefact
from targets.artefact.debug_database import debug_database, read_database
from targets.artefact.layers import NamedOperation, named_operations
from targets.artefact.stream.operations import BlockOperation, Operation
from targets.checkup import Finding, found
from targets.ethos_u55.ports import PortMap
from targets.protocol import Capabilities, Job, LayerCycles, Measurement, Source
from targets.settings import TargetSettings
from targets.settings.sim import SimSettings
from targets.simulator.cpu.errors import CpuOperatorError
from targets.simulator.evidence import unsupported
from targets.simulator.modelled_events import modelled_events
from targets.simulator.simulator import Simulator
from targets.simulator.timing import Bound, NetworkTiming, OperationTiming
from targets.simulator.timing.events import pmu_events
from targets.simulator.timing.explain import explain
from targets.simulator.timing.layers import operation_label
from targets.simulator.weights.count import weight_stream

__all__ = ["SimulatorTarget", "check_sim", "layer_cycles", "names_of"]

_ALL_ON_CPU = "no part of this model runs on the NPU: Vela left every operator to the CPU"


class SimulatorTarget:
    """The simulator behind the `Target` protocol."""

    def __init__(self, settings: SimSettings | None = None) -> None:
        """None: the default settings."""
        self._settings = SimSettings() if settings is None else settings

    def capabilities(self) -> Capabilities:
        """Every accelerator and memory mode; the events that are counted or modelled."""
        return Capabilities(
            name="sim", source=Source.SIMULATED, events=modelled_events(), executes_artefact=True
        )

    def fingerprint(self) -> Mapping[str, str]:
        """The interpreters that run what Vela left to the CPU."""
        return {
            "tflite-micro": version("tflite-micro"),
            "ai-edge-litert": version("ai-edge-litert"),
        }

    def programs(self) -> Sequence[str]:
        """None."""
        return ()

    def prepare(self) -> None:
        """Nothing to prepare: the simulator needs no installation."""

    def run(self, job: Job) -> Measurement:
        """Execute the compiled model on the job's inputs, and estimate how long one takes.

        Raises `TargetError` when it was compiled for another accelerator, when its command stream
        asks for something the NPU cannot do (the error names word and operation), or when the
        inputs do not fit. Raises `ModelError` when the file cannot be read. There are no outputs
        if an operator on the CPU cannot be run; the NPU's figures are known all the same.
        """
        ports = PortMap.for_memory_mode(job.memory_mode)
        simulator = Simulator(
            job.compiled_model, job.accelerator, ports, max_size=self._settings.max_size
        )
        outputs, absent = _outputs(simulator, job)
        told = {} if absent else {"outputs": _origin_of_outputs(simulator)}
        if not simulator.artefact.npu_operators:
            return Measurement(
                source=Source.SIMULATED,
                outputs=outputs,
                outputs_absent=absent,
                counters={},
                unavailable=dict.fromkeys(job.events, _ALL_ON_CPU),
                provenance=told,
            )
        timing = simulator.timing(job.memory_mode, job.timing)
        names = names_of(simulator.artefact, job.compiled_model, job.source_model)
        counters, kinds, unavailable = _counted(timing, job.events)
        operations = (row.operation for row in timing.operations)
        lacking = unsupported(operations, job.memory_mode, job.timing, job.timing_name)
        cycles = f"estimate of the cycle model, timing profile {job.timing_name}"
        if lacking:
            cycles += f"; no published figure supports it for {' and '.join(lacking)}"
        return Measurement(
            source=Source.SIMULATED,
            outputs=outputs,
            outputs_absent=absent,
            counters=counters,
            unavailable=unavailable,
            kinds=kinds,
            uncertainty={"NPU_ACTIVE": simulator.uncertainty(job.memory_mode, timing)},
            unsupported=lacking,
            layers=layer_cycles(timing, names),
            explanation=explain(
                timing,
                names,
                partial(simulator.timing, job.memory_mode, job.timing),
                partial(weight_stream, simulator.artefact.npu_operators),
                job.report.cycles_total,
            ),
            provenance={
                **told,
                "traffic": f"traffic model, QCONFIG {ports.qconfig}, REGIONCFG {ports.regioncfg}",
                "cycles": cycles,
            },
        )

    def close(self) -> None:
        """Nothing to close."""


def _outputs(simulator: Simulator, job: Job) -> tuple[tuple[Array, ...], str]:
    """The outputs, or why there are none."""
    try:
        return simulator.run(job.inputs).outputs, ""
    except CpuOperatorError as error:
        return (), error.what


def _origin_of_outputs(simulator: Simulator) -> str:
    if simulator.artefact.npu_operators:
        return "the compiled model, executed by targets.simulator"
    return "the operators Vela left to the CPU: all of them"


def check_sim(settings: TargetSettings, logs: Path, *, boot: bool) -> Iterator[Finding]:
    """See `Checkup`."""
    yield found("interpreters", f"tflite-micro {version('tflite-micro')}, for CPU operators")


def names_of(artefact: Artefact, compiled: Path, source: Path) -> Mapping[int, NamedOperation]:
    """The layers of the operations of `artefact`, by index over all `ethos-u` operators.

    `compiled` is the compiled model, with Vela's debug database beside it, and `source` what was
    compiled. Raises `ModelError` if the database is missing or damaged.
    """
    graph = read_graph(source)
    results = [
        graph.tensors[node.outputs[0]].name if node.outputs else "" for node in graph.operators
    ]
    named = named_operations(artefact, read_database(debug_database(compiled)), results)
    counts = [len(operator.operations) for operator in artefact.npu_operators]
    return {
        first + place: operation
        for first, each in zip(accumulate(counts, initial=0), named, strict=False)
        for place, operation in each.items()
    }


def layer_cycles(
    timing: NetworkTiming, names: Mapping[int, NamedOperation]
) -> tuple[LayerCycles, ...]:
    """A row for every operation that takes time; estimated NPU cycles."""
    return tuple(
        _layer_cycles(row, names.get(row.index)) for row in timing.operations if _takes_time(row)
    )


def _layer_cycles(row: OperationTiming, named: NamedOperation | None) -> LayerCycles:
    layer = None if named is None else named.layer
    return LayerCycles(
        name=operation_label(row.operation),
        layer="" if layer is None else layer.name,
        operator="" if layer is None else layer.operator,
        tensor="" if layer is None else layer.tensor,
        compute=round(row.compute),
        weight_decode=round(row.weight_decode),
        flash=round(row.flash),
        sram=round(row.sram),
        issue=round(row.issue),
        total=round(row.total),
        bound_by=row.bound_by.value.lower(),
        vela_cycles=None if named is None else named.vela_cycles,
        block=_block(row.operation),
    )


def _block(operation: Operation) -> str:
    if not isinstance(operation, BlockOperation):
        return ""
    block = operation.block
    return f"{block.height}x{block.width}x{block.depth}"


def _counted(
    timing: NetworkTiming, wanted: Sequence[str]
) -> tuple[dict[str, int], dict[str, str], dict[str, str]]:
    """The counts of the `wanted` events, their kinds, and why other events have no count."""
    events = {event.name: event for event in pmu_events(timing)}
    counters: dict[str, int] = {}
    kinds: dict[str, str] = {}
    unavailable: dict[str, str] = {}
    for name in wanted:
        event = events.get(name)
        if event is None:
            unavailable[name] = "an Ethos-U55 has no event of this name"
        elif event.value is None:
            unavailable[name] = f"not modelled: {event.reason}"
        else:
            counters[name] = event.value
            kinds[name] = event.fidelity.value
    return counters, kinds, unavailable


def _takes_time(row: OperationTiming) -> bool:
    return row.bound_by is not Bound.NOTHING and (
        isinstance(row.operation, BlockOperation) or round(row.total) > 0
    )
