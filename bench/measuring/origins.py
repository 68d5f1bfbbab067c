"""A quantised model with what is known of its origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.records.record import ModelRecord
from bench.tflite.model_file import ModelFile

__all__ = ["QuantisedModel", "quantised_model"]


@dataclass(frozen=True)
class QuantisedModel:
    """A quantised `.tflite` and what is known of its origin."""

    path: Path
    file: ModelFile
    record: ModelRecord


def quantised_model(
    path: Path,
    file: ModelFile,
    origin: str,
    provenance: Mapping[str, str],
    changes: Sequence[str] = (),
) -> QuantisedModel:
    """The model at `path`, which `file` describes; `changes` were made to what the user gave."""
    record = ModelRecord.model_validate(
        {
            "origin": origin,
            "sha256": file.sha256,
            "size_bytes": file.size_bytes,
            "provenance": dict(provenance),
            "keeps_state": file.has_state,
            "changes": list(changes),
        }
    )
    return QuantisedModel(path, file, record)
