"""The entry point of the simulator: a compiled model, run on a batch of inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np

from bench.core.arrays import Array
from bench.core.errors import ModelError, TargetError
from bench.core.rows import MISFIT_CURE, misfit, steps_of
from targets.artefact import Artefact, load_artefact
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.ethos_u55.ports import BurstBytes, PortMap
from targets.protocol import Uncertainty
from targets.simulator.graph import Graph
from targets.simulator.native.choice import InnerLoops
from targets.simulator.observation import Observer
from targets.simulator.timing import NetworkTiming, TimingProfile, estimate
from targets.simulator.timing.uncertainty import uncertainty
from targets.simulator.timing.work import NetworkWork, network_work
from targets.simulator.traffic.network import NetworkTraffic, OperationTraffic, operator_traffic

__all__ = ["InnerLoops", "SimulationResult", "Simulator"]


@dataclass(frozen=True)
class SimulationResult:
    """The result of a run. Counters are per inference, whatever the size of the batch."""

    #: One array for each model output, `[n, ...]` in the model's own shape and dtype.
    outputs: tuple[Array, ...]
    #: What each operation of the command streams moves, in their order.
    operations: tuple[OperationTraffic, ...]
    #: Arm's PMU event name -> beats of 8 bytes.
    counters: Mapping[str, int]


class Simulator:
    """An Ethos-U55 with a compiled model in it. Decodes once, runs any number of times."""

    def __init__(
        self,
        compiled: Artefact | Path,
        accelerator: Accelerator | None = None,
        ports: PortMap | None = None,
        *,
        max_size: float = 1.0,
        inner_loops: InnerLoops = InnerLoops.FASTEST,
    ) -> None:
        """Read and check `compiled`: a `.tflite` or `.npz` that Vela wrote.

        `accelerator` is the configuration to simulate; None means the one it was compiled for.
        `ports` decides what is counted on which AXI port; None means the defaults of Arm's driver.
        `max_size` multiplies the bounds on what an inference may cost (`execution.budget`).
        `inner_loops` decides how fast it is, and nothing else.

        Raises `ModelError` for the file, `StreamError` for a command stream (it names word and
        operation), and `TargetError` if it was compiled for another accelerator.
        """
        artefact = load_artefact(compiled) if isinstance(compiled, Path) else compiled
        if accelerator is not None and artefact.macs not in (None, int(accelerator)):
            raise TargetError(
                f"{artefact.name} was compiled for an Ethos-U55 of {artefact.macs} MACs; "
                f"it cannot run on one of {int(accelerator)}",
                cure=f"compile it with --accelerator-config {accelerator.vela_name}",
            )
        self.artefact = artefact
        self._ports = PortMap() if ports is None else ports
        kernels = inner_loops.kernels()
        try:
            self._graph = Graph(artefact, max_size, kernels)
        finally:
            if kernels is not None:
                kernels.rest()

    @cached_property
    def _operator_traffic(self) -> tuple[NetworkTraffic, ...]:
        """What each `ethos-u` operator moves; counted once, for totals and for cycles."""
        return tuple(
            operator_traffic(operator, self._ports) for operator in self.artefact.npu_operators
        )

    @cached_property
    def work(self) -> tuple[NetworkWork, ...]:
        """What each `ethos-u` operator asks of the NPU's engines and ports, block by block."""
        return self._work_of(self._operator_traffic)

    def _work_of(self, traffic: Sequence[NetworkTraffic]) -> tuple[NetworkWork, ...]:
        operators = self.artefact.npu_operators
        return tuple(
            network_work(each, operator.payload.macs)
            for operator, each in zip(operators, traffic, strict=True)
        )

    def _work_with(self, bursts: tuple[BurstBytes, BurstBytes]) -> tuple[NetworkWork, ...]:
        """The work if the ports' longest bursts differ from those `traffic` was counted with."""
        if bursts == self._ports.bursts:
            return self.work
        ports = replace(self._ports, bursts=bursts)
        return self._work_of(
            [operator_traffic(operator, ports) for operator in self.artefact.npu_operators]
        )

    @cached_property
    def traffic(self) -> NetworkTraffic:
        """What one inference moves over the AXI ports."""
        return NetworkTraffic.joined(self._operator_traffic)

    @cached_property
    def _counters(self) -> Mapping[str, int]:
        return MappingProxyType(self.traffic.counters)

    def timing(
        self,
        mode: MemoryMode,
        profile: TimingProfile,
        weight_shares: Mapping[int, float] = MappingProxyType({}),
    ) -> NetworkTiming:
        """How long one inference takes on the NPU: an estimate, in NPU cycles.

        `mode` says which memory is behind AXI1, `profile` how fast both memories are.
        `weight_shares` maps the index of an operation to a share: the estimate assumes that its
        weight stream is encoded in that share of its size. Raises `ModelError` when nothing runs on
        the NPU.
        """
        if not self.artefact.npu_operators:
            raise ModelError(
                f"{self.artefact.name} has no operator for the NPU: there is nothing to time",
                cure="see Vela's report of the operators left to the CPU",
            )
        parts, first = [], 0
        for work in self._work_with(profile.bursts(mode)):
            # Indices count the operations of all operators.
            mine = {index - first: share for index, share in weight_shares.items()}
            parts.append(estimate(work, mode, profile, mine))
            first += len(work.operations)
        return NetworkTiming.joined(parts)

    def uncertainty(self, mode: MemoryMode, timing: NetworkTiming) -> Uncertainty:
        """Between which NPU_ACTIVE `timing`, an estimate of this model, could lie."""
        works = self._work_with(timing.profile.bursts(mode))
        return uncertainty(works, mode, timing.profile, timing.npu_active)

    def run(self, inputs: Sequence[Array], observer: Observer | None = None) -> SimulationResult:
        """Run `n` independent inferences, or `n` independent streams of inferences.

        `inputs` has one array for each model input, `[n, ...]`: the model's own shape, with its
        batch dimension of 1 replaced by `n`, in its own dtype. Streams are `[n, steps, ...]`, and
        each step continues from the state of the last. The outputs have the same form. Every row
        and every stream starts from the model's initial state. `observer` gets what each operation
        gives.

        Raises `TargetError` when the inputs do not fit the model, and `CpuOperatorError` when an
        operator that Vela left to the CPU cannot be run.
        """
        tensors = [self.artefact.tensors[i] for i in self.artefact.inputs]
        problem = misfit(tensors, inputs)
        if problem:
            raise TargetError(f"{self.artefact.name}: {problem}", cure=MISFIT_CURE)
        steps = steps_of(tensors, inputs)
        if steps is None:
            outputs = self._graph.run([inputs], observer)[0]
        else:
            sequence = [[array[:, i] for array in inputs] for i in range(steps)]
            answers = self._graph.run(sequence, observer)
            outputs = tuple(np.stack(columns, axis=1) for columns in zip(*answers, strict=True))
        return SimulationResult(outputs, self.traffic.operations, self._counters)
