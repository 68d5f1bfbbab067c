"""What is stored of a target's answer: everything except the outputs themselves."""

from __future__ import annotations

from pydantic import Field

from bench.core.schema import RecordModel
from targets.protocol import LayerCycles, Source, Uncertainty

__all__ = ["MeasurementRecord"]


class MeasurementRecord(RecordModel):
    """What the target answered, for one inference."""

    source: Source
    #: Arm's event name -> count.
    counters: dict[str, int]
    #: Arm's event name -> why the target cannot give it.
    unavailable: dict[str, str]
    #: Arm's event name -> `exact`, or `modelled` or `estimate`, which nothing has verified.
    kinds: dict[str, str] = Field(default_factory=dict)
    #: Arm's event name -> between which counts it could lie. Empty in older records, and for
    #: targets that measure or do not know.
    uncertainty: dict[str, Uncertainty] = Field(default_factory=dict)
    #: What no published figure supports (`int16`, `Sram_Only`); empty in older records.
    unsupported: tuple[str, ...] = ()
    provenance: dict[str, str]
    layers: tuple[LayerCycles, ...] = ()
    explanation: str = ""
    #: Empty where there are no outputs, for the reason in `outputs_absent`.
    outputs_sha256: str
    outputs_absent: str = ""
