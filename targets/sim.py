"""Target `sim`: the project's own Ethos-U55, executing the compiled model itself."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from bench.fingerprint import source_fingerprint
from targets.protocol import Capabilities, Job, Measurement, Source
from targets.simulator.simulator import Simulator
from targets.simulator.traffic import PortMap

__all__ = ["EVENTS", "SimulatorTarget"]

#: What the traffic model counts.
EVENTS = frozenset(
    {
        "AXI0_RD_DATA_BEAT_RECEIVED",
        "AXI0_WR_DATA_BEAT_WRITTEN",
        "AXI1_RD_DATA_BEAT_RECEIVED",
        "AXI1_WR_DATA_BEAT_WRITTEN",
    }
)

_NO_CYCLES = "the simulator has no cycle model yet; it counts AXI data beats"


class SimulatorTarget:
    """The simulator behind the `Target` protocol."""

    def capabilities(self) -> Capabilities:
        """Every accelerator and memory mode; the AXI data beats."""
        return Capabilities(
            name="sim", source=Source.SIMULATED, events=EVENTS, executes_artefact=True
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
        """Execute the compiled model on the job's inputs.

        Raises `TargetError` when it was compiled for another accelerator, when its command
        stream asks for what the NPU cannot do (naming word and operation), or when the inputs do
        not fit; `ModelError` when the file cannot be read.
        """
        ports = PortMap.for_memory_mode(job.memory_mode)
        result = Simulator(job.compiled_model, job.accelerator, ports).run(job.inputs)
        counts = result.counters
        return Measurement(
            source=Source.SIMULATED,
            outputs=result.outputs,
            counters={event: counts[event] for event in job.events if event in counts},
            unavailable={event: _NO_CYCLES for event in job.events if event not in counts},
            provenance={
                "outputs": "the compiled model, executed by targets.simulator",
                "traffic": f"traffic model, QCONFIG {ports.qconfig}, REGIONCFG {ports.regioncfg}",
            },
        )

    def close(self) -> None:
        """Nothing to close."""
