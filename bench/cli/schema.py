"""`bench schema`: what records, comparisons and exported runs look like."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

__all__ = ["Document", "schema"]


class Document(str, Enum):
    """A JSON document of the bench's."""

    RECORD = "record"
    COMPARISON = "comparison"
    EXPORT = "export"
    PLAN = "plan"


def schema(
    document: Annotated[
        Document,
        typer.Argument(
            help="A cell's record, what `bench compare --format json` prints, what `bench "
            "report --export json=FILE` writes, or what `bench plan -o FILE` writes."
        ),
    ] = Document.RECORD,
) -> None:
    """Print the JSON Schema of a document."""
    import json

    from bench.core.schema import RecordModel
    from bench.history.comparison import Comparison
    from bench.plan.document import PlanDocument
    from bench.records.record import Record
    from bench.report.exports.document import ExportedRun

    models: dict[Document, type[RecordModel]] = {
        Document.RECORD: Record,
        Document.COMPARISON: Comparison,
        Document.EXPORT: ExportedRun,
        Document.PLAN: PlanDocument,
    }
    print(json.dumps(models[document].model_json_schema(), indent=2, sort_keys=True))
