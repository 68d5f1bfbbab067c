"""`bench schema`: what a record looks like."""

from __future__ import annotations

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of a cell's record."""
    import json

    from bench.records.record import Record

    print(json.dumps(Record.model_json_schema(), indent=2, sort_keys=True))
