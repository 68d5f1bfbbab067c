"""What a measurement is for somebody's test: a few figures under plain names.

A figure that there is not raises `BenchError` with the reason, so no test passes on a missing one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.core.arrays import Array
from bench.core.errors import ConfigError, TargetError
from bench.core.schema import suggest
from bench.plan.metrics import MetricName
from bench.records.figures import Absent
from bench.records.metric_values import metric_value
from bench.records.record import Record

__all__ = ["Beats", "Measure", "Measured", "Sizes"]


@dataclass(frozen=True)
class Sizes:
    """Sizes in bytes."""

    #: The weights before and after Vela's encoding.
    original_weights: int
    encoded_weights: int
    #: The whole file that the device stores.
    device_model: int
    #: What Vela placed in each memory.
    sram: int
    flash: int


@dataclass(frozen=True)
class Beats:
    """Beats of 8 bytes over the AXI ports in one inference."""

    axi0_read: int
    axi0_write: int
    axi1_read: int


@dataclass(frozen=True)
class Measured:
    """One model on one configuration of the NPU, measured on a target."""

    #: Everything that is known of it.
    record: Record
    _outputs: tuple[Array, ...]

    @property
    def id(self) -> str:
        """The id of the cell, such as `kws-base-u55_128-shared_sram-sim`."""
        return self.record.cell.id

    @property
    def cycles(self) -> int:
        """NPU cycles of one inference. On `sim` they come from a model; see `cycles_kind`."""
        return int(self.value(MetricName.NPU_CYCLES))

    @property
    def cycles_kind(self) -> str:
        """`exact`, `modelled` or `estimate`."""
        return self.record.measurement.kinds.get("NPU_ACTIVE", "exact")

    @property
    def beats(self) -> Beats:
        """The AXI traffic of one inference."""
        names = (MetricName.AXI0_READ, MetricName.AXI0_WRITE, MetricName.AXI1_READ)
        return Beats(*(int(self.value(name)) for name in names))

    @property
    def sizes(self) -> Sizes:
        """What the model takes."""
        report = self.record.compilation.report
        return Sizes(
            original_weights=report.original_weights_bytes,
            encoded_weights=report.encoded_weights_bytes,
            device_model=self.record.compilation.device_model_bytes,
            sram=report.sram.used_bytes,
            flash=report.off_chip_flash.used_bytes,
        )

    @property
    def outputs(self) -> tuple[Array, ...]:
        """The outputs for all inputs, an array `[n, ...]` for each output of the model."""
        if not self._outputs:
            raise TargetError(f"{self.id}: no outputs: {self.record.measurement.outputs_absent}")
        return self._outputs

    def value(self, metric: str) -> float:
        """The figure of any metric, such as `sram_kib`; its unit is in its name.

        Raises `ConfigError` for an unknown metric, and `TargetError` if there is no figure.
        """
        try:
            name = MetricName(metric)
        except ValueError:
            known = suggest(metric, [each.value for each in MetricName])
            raise ConfigError(f"unknown metric {metric!r}; {known}") from None
        found = metric_value(self.record, name)
        if isinstance(found, Absent):
            raise TargetError(f"{self.id}: {name.value} absent: {found.reason}")
        return found


class Measure(Protocol):
    """The fixture `measure`."""

    def __call__(
        self,
        model: str | Path,
        macs: int = 128,
        *,
        memory_mode: str = "Shared_Sram",
        target: str = "sim",
        inputs: Array | tuple[Array, ...] | None = None,
        dataset: str | Path | None = None,
    ) -> Measured:
        """Compile and measure a quantised `.tflite`.

        Args:
            model: path of the model.
            macs: 32, 64, 128 or 256.
            memory_mode: `Shared_Sram` or `Sram_Only`.
            target: where it runs.
            inputs: what to run it with, an array `[n, ...]`, or a tuple of them for a model with
                several inputs; random inputs if nothing is given.
            dataset: instead of `inputs`, an `.npz` as workloads take it.

        Raises `BenchError` if the model or a setting is wrong.
        """
        ...
