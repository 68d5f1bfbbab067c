"""Target `vela`: the compiler's own estimate as counters, for comparison with the other targets.

Nothing is executed. Cycles and traffic are Vela's predictions, labelled *estimate*. The outputs
come from the reference interpreter, which runs the model that Vela was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.compiler import MemoryReport
from bench.tflite.reference import Reference, ReferenceOutputs
from targets.checkup import Finding, found
from targets.ethos_u55.ports import BEAT_BYTES
from targets.protocol import Capabilities, Job, Measurement, Source
from targets.settings import TargetSettings

__all__ = ["EVENTS", "VelaEstimate", "check_vela"]

_NOT_ESTIMATED = "Vela does not estimate this event"

#: The events that Vela's summary gives.
EVENTS = frozenset(
    {
        "NPU_ACTIVE",
        "AXI0_RD_DATA_BEAT_RECEIVED",
        "AXI0_WR_DATA_BEAT_WRITTEN",
        "AXI1_RD_DATA_BEAT_RECEIVED",
        "AXI1_WR_DATA_BEAT_WRITTEN",
    }
)


def check_vela(settings: TargetSettings, logs: Path, *, boot: bool) -> Iterator[Finding]:
    """See `Checkup`."""
    yield found("estimate", "of the Vela that compiles each cell")


class VelaEstimate:
    """Vela's estimate behind the `Target` protocol."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    def capabilities(self) -> Capabilities:
        """Every accelerator and memory mode; five events."""
        return Capabilities(
            name="vela", source=Source.ESTIMATE, events=EVENTS, executes_artefact=False
        )

    def fingerprint(self) -> Mapping[str, str]:
        """The interpreters; the estimate is part of what Vela gave, with its version."""
        return self._reference.fingerprint()

    def programs(self) -> Sequence[str]:
        """None."""
        return ()

    def prepare(self) -> None:
        """Nothing to prepare: the estimate was made when the model was compiled."""

    def run(self, job: Job) -> Measurement:
        """Turn the compiler's report into a measurement; see `estimate_counters`."""
        estimates = estimate_counters(job)
        reference = self._reference(job.source_model, job.inputs)
        return Measurement(
            source=Source.ESTIMATE,
            outputs=reference.outputs,
            outputs_absent=reference.absent,
            counters={event: estimates[event] for event in job.events if event in estimates},
            unavailable={event: _NOT_ESTIMATED for event in job.events if event not in estimates},
            kinds={event: "estimate" for event in job.events if event in estimates},
            provenance={
                "cycles": f"ethos-u-vela {job.vela_version}, performance estimate",
                **_origin_of_outputs(reference),
            },
        )

    def close(self) -> None:
        """Nothing to close."""


def _origin_of_outputs(reference: ReferenceOutputs) -> dict[str, str]:
    if reference.absent:
        return {}
    return {"outputs": f"{reference.interpreter} on the uncompiled model"}


def estimate_counters(job: Job) -> dict[str, int]:
    """Vela's figures under the names of the PMU events they predict.

    NPU_ACTIVE is `cycles_total`. Beats are bytes / 8, because the ports are 64 bits wide. The SRAM
    is on AXI0 and every other memory on AXI1, as in both system configurations that Vela ships.
    Vela counts neither the fetch of the command stream nor partial beats.
    """
    report = job.report
    others = (report.dram, report.on_chip_flash, report.off_chip_flash)

    def beats(count: int) -> int:
        return -(-count // BEAT_BYTES)

    return {
        "NPU_ACTIVE": report.cycles_total,
        "AXI0_RD_DATA_BEAT_RECEIVED": beats(_read_bytes(report.sram)),
        "AXI0_WR_DATA_BEAT_WRITTEN": beats(_write_bytes(report.sram)),
        "AXI1_RD_DATA_BEAT_RECEIVED": beats(sum(map(_read_bytes, others))),
        "AXI1_WR_DATA_BEAT_WRITTEN": beats(sum(map(_write_bytes, others))),
    }


def _write_bytes(memory: MemoryReport) -> int:
    return memory.feature_map_write_bytes + memory.weight_write_bytes


def _read_bytes(memory: MemoryReport) -> int:
    # The total also includes scales and look-up tables, which are only read.
    return memory.total_bytes - _write_bytes(memory)
