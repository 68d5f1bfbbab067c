"""Records for tests of what judges, keeps and reports them."""

from __future__ import annotations

from bench.plan.cell import Cell
from bench.plan.metrics import AccuracyMetric
from bench.records.binding import binding_of_report
from bench.records.measurement import MeasurementRecord
from bench.records.quality import AccuracyRecord
from bench.records.record import CellIdentity, CompilationRecord, DataIdentity, ModelRecord, Record
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.protocol import Source
from tests.support.models.dense_layer import stored_dense_layer

__all__ = ["dense_layer_cell", "dense_layer_record"]


def dense_layer_cell(variant: str) -> Cell:
    """A cell of workload `w` on target `vela`."""
    return Cell("w", variant, Accelerator.U55_128, MemoryMode.SHARED_SRAM, "vela")


def dense_layer_record(variant: str) -> Record:
    """A record of a real compile with made-up counters, without verdicts."""
    compiled = stored_dense_layer()
    return Record(
        cell=CellIdentity.of(dense_layer_cell(variant)),
        data=DataIdentity(name="d", sha256="0" * 64, samples=10),
        model=ModelRecord(origin="file", sha256="1" * 64, size_bytes=1, provenance={}),
        compilation=CompilationRecord(
            vela_version=compiled.vela_version,
            command=compiled.command,
            options=compiled.options,
            sha256=compiled.sha256,
            device_model_bytes=compiled.device_model_bytes,
            report=compiled.report,
        ),
        measurement=MeasurementRecord(
            source=Source.ESTIMATE,
            counters={"NPU_ACTIVE": 1000, "AXI1_RD_DATA_BEAT_RECEIVED": 500},
            unavailable={"AXI0_RD_DATA_BEAT_RECEIVED": "this target has no such counter"},
            provenance={},
            outputs_sha256="2" * 64,
        ),
        accuracy=AccuracyRecord(metric=AccuracyMetric.TOP1, value=0.95, samples=10),
        binding=dict(binding_of_report(compiled.report).shares),
    )
