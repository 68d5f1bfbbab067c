"""The text of a baselines file: TOML that people review, a line a figure, always in one order.

What several cells were made from stands once, under `[made.<stage>.<name>]`, and each cell names
it. The names are the beginnings of sha256 sums over the facts, so the text depends on the figures
alone, and a merge of two branches cannot mix them up.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import tomlkit
from pydantic import ValidationError

from bench.baselines.accepted import AcceptedCell, AcceptedFigure, AcceptedSweep, Baselines
from bench.core.schema import suggest
from bench.plan.metrics import MetricName
from bench.records.layers import LayerSummary
from bench.records.provenance import Provenance, Stage

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["parse", "render"]

SCHEMA_VERSION = 1

_BARE = re.compile(r"[A-Za-z0-9_-]+")
#: Keys of a cell that are no metric.
_MADE, _LAYERS, _MEMORY_SHARE = "made", "layers", "memory_share"
_HEADING = (
    "# Accepted figures. `bench baseline accept` and `pytest --bench-update-baselines` write this",
    "# file; review its changes like code. A line under [cells] is one figure of one cell.",
)


def render(cells: Mapping[str, AcceptedCell], sweeps: Mapping[str, AcceptedSweep]) -> str:
    """The text of a file with these figures; sorted, so that it depends on nothing else."""
    lines = [*_HEADING, f"schema_version = {SCHEMA_VERSION}"]
    made: dict[tuple[str, str], Mapping[str, str]] = {}
    for id_ in sorted(cells):
        lines += ["", f"[cells.{_key(id_)}]", *_cell_lines(cells[id_], made)]
    for id_ in sorted(sweeps):
        lines += ["", f"[sweeps.{_key(id_)}]", *_fields(sweeps[id_].model_dump())]
    for stage, name in sorted(made):
        facts = made[stage, name]
        lines += ["", f"[made.{stage}.{name}]"]
        lines += [f"{_key(fact)} = {_value(facts[fact])}" for fact in sorted(facts)]
    return "\n".join(lines) + "\n"


def _cell_lines(
    cell: AcceptedCell, made: dict[tuple[str, str], Mapping[str, str]]
) -> Iterator[str]:
    """The lines of a cell. What it was made from is noted in `made`."""
    names: dict[str, str] = {}
    for stage in Stage:
        facts = cell.made.facts(stage)
        if facts:
            name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
            names[stage.value] = name
            made[stage.value, name] = facts
    yield f"{_MADE} = {_inline(names)}"
    for metric in MetricName:
        if metric in cell.figures:
            row = cell.figures[metric].model_dump(exclude_defaults=True)
            yield f"{metric.value} = {_inline(row)}"
    if cell.memory_share is not None:
        yield f"{_MEMORY_SHARE} = {_value(cell.memory_share)}"
    for layer, summary in cell.layers.items():
        yield f"{_LAYERS}.{_key(layer)} = {_inline(summary.model_dump(exclude_defaults=True))}"


def _fields(values: Mapping[str, Any]) -> Iterator[str]:
    return (f"{_key(name)} = {_value(value)}" for name, value in values.items())


def _inline(values: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(_fields(values)) + " }"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else tomlkit.string(name).as_string()


def _value(value: Any) -> str:
    if isinstance(value, str):
        return tomlkit.string(value).as_string()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # `repr` is the shortest text that reads back as the same double; counts need no point.
        return str(int(value)) if value.is_integer() and abs(value) < 1 << 53 else repr(value)
    return str(value)


def parse(text: str, origin: str) -> Baselines:
    """The figures in `text`. `origin` says where it is from, for people.

    Raises `ValueError`, which names the key, for what is not such a file.
    """
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    _check_version(document)
    for name in document:
        if name not in ("schema_version", "cells", "sweeps", "made"):
            raise ValueError(
                f"unknown table {name!r}; {suggest(name, ('cells', 'sweeps', 'made'))}"
            )
    made = _table(document, "made")
    cells = {}
    for id_, table in _table(document, "cells").items():
        try:
            cells[id_] = _cell(table, made)
        except ValueError as error:
            raise ValueError(f"cells.{id_}: {_first(error)}") from None
    sweeps = {}
    for id_, table in _table(document, "sweeps").items():
        try:
            sweeps[id_] = AcceptedSweep.model_validate(table)
        except ValueError as error:
            raise ValueError(f"sweeps.{id_}: {_first(error)}") from None
    return Baselines(origin=origin, cells=cells, sweeps=sweeps)


def _check_version(document: Mapping[str, Any]) -> None:
    version = document.get("schema_version")
    if version == SCHEMA_VERSION:
        return
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ValueError(
            f"schema_version {version} is of a newer bench; this one reads {SCHEMA_VERSION}"
        )
    raise ValueError(f"schema_version: must be {SCHEMA_VERSION}")


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"{name}: must be a table")
    return table


def _cell(table: Any, made: Mapping[str, Any]) -> AcceptedCell:
    if not isinstance(table, dict):
        raise ValueError("must be a table")
    known = [metric.value for metric in MetricName]
    for name in table:
        if name not in (_MADE, _LAYERS, _MEMORY_SHARE, *known):
            raise ValueError(f"unknown metric {name!r}; {suggest(name, known)}")
    figures = {}
    for metric in MetricName:
        if metric.value in table:
            figures[metric] = _named(metric.value, AcceptedFigure, table[metric.value])
    layers = {
        name: _named(f"{_LAYERS}.{name}", LayerSummary, value)
        for name, value in _table(table, _LAYERS).items()
    }
    return AcceptedCell(
        made=_provenance(_table(table, _MADE), made),
        figures=figures,
        layers=layers,
        memory_share=table.get(_MEMORY_SHARE),
    )


def _provenance(names: Mapping[str, Any], made: Mapping[str, Any]) -> Provenance:
    facts = {}
    for stage, name in names.items():
        found = made.get(stage, {})
        if not isinstance(found, dict) or name not in found:
            raise ValueError(f"{_MADE}.{stage}: there is no table [made.{stage}.{name}]")
        facts[stage] = found[name]
    return Provenance.model_validate(facts)


def _named(key: str, model: Any, value: Any) -> Any:
    try:
        return model.model_validate(value)
    except ValueError as error:
        raise ValueError(f"{key}: {_first(error)}") from None


def _first(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else str(fault["msg"])
