"""The formats by name, and writing a run in one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from bench.core.errors import BenchError, ConfigError
from bench.core.files import reason, write_atomically
from bench.core.schema import suggest
from bench.plan.metrics import Better
from bench.report.exports.allure import allure_files
from bench.report.exports.document import exported_run
from bench.report.exports.metrics import bencher_json, benchmark_json, openmetrics_text
from bench.report.exports.model_explorer import node_data_files
from bench.report.exports.tables import csv_text, write_parquet
from bench.report.run_view import RunView

__all__ = ["FORMATS", "parsed_export", "write_export"]


def _json(view: RunView, path: Path) -> None:
    write_atomically(path, exported_run(view).model_dump_json(indent=1) + "\n")


def _csv(view: RunView, path: Path) -> None:
    write_atomically(path, csv_text(view))


def _openmetrics(view: RunView, path: Path) -> None:
    write_atomically(path, openmetrics_text(view))


def _bencher(view: RunView, path: Path) -> None:
    write_atomically(path, bencher_json(view))


def _benchmark(view: RunView, path: Path) -> None:
    """Two files beside each other: `NAME.smaller.json` and `NAME.bigger.json`."""
    for word, better in (("smaller", Better.LOWER), ("bigger", Better.HIGHER)):
        write_atomically(path.with_suffix(f".{word}.json"), benchmark_json(view, better))


def _files(path: Path, files: Iterable[tuple[str, str]]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files:
        (path / name).write_text(text, encoding="utf-8", errors="backslashreplace")


def _allure(view: RunView, path: Path) -> None:
    _files(path, allure_files(view))


def _model_explorer(view: RunView, path: Path) -> None:
    _files(path, node_data_files(view))


#: Name of a format -> what writes it to a file, or into a directory.
FORMATS: Mapping[str, Callable[[RunView, Path], None]] = MappingProxyType(
    {
        "json": _json,
        "csv": _csv,
        "parquet": write_parquet,
        "openmetrics": _openmetrics,
        "bencher": _bencher,
        "github-benchmark": _benchmark,
        "allure": _allure,
        "model-explorer": _model_explorer,
    }
)


def parsed_export(text: str) -> tuple[str, Path]:
    """The format and the place in `FORMAT=FILE`. Raises `ConfigError` if it is neither."""
    name, equals, place = text.partition("=")
    if name not in FORMATS:
        raise ConfigError(
            f"--export {text}: there is no format {name!r}", cure=suggest(name, list(FORMATS))
        )
    if not equals or not place:
        raise ConfigError(f"--export {text}: where to?", cure=f"--export {name}=FILE")
    return name, Path(place)


def write_export(view: RunView, name: str, path: Path) -> None:
    """Write the run as `name`, one of `FORMATS`. Raises `BenchError` if that fails."""
    try:
        FORMATS[name](view, path)
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be written: {reason(error)}", cure="name another place"
        ) from error
