"""The fixtures `measure` and `bench_cell`, which pytest finds through an entry point.

There are no options, no settings and no output here. Where no test asks for these fixtures, nothing
of the bench is imported and nothing happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.testing.measuring import CellMeasurers
    from bench.testing.results import Measure, Measured

__all__ = ["bench_cell", "measure"]

_CELL = "bench_cell"


@pytest.fixture(scope="session")
def measure(tmp_path_factory: pytest.TempPathFactory) -> Measure:
    """Compiles and measures a quantised model: `measure("net.tflite", macs=128).cycles`.

    Raises `BenchError` if the model or a setting is wrong. Through the artefact cache, so the same
    question costs nothing the second time.
    """
    from bench.testing.measuring import ModelMeasurer

    return ModelMeasurer(tmp_path_factory.mktemp("bench"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise `bench_cell` with the cells of the nearest bench.toml."""
    if _CELL not in metafunc.fixturenames:
        return
    from bench.core.errors import BenchError
    from bench.testing.measuring import planned_cells

    try:
        path = _config_of(Path(str(metafunc.definition.path)), metafunc.config.rootpath)
        cells = planned_cells(path)
    except BenchError as error:
        raise pytest.UsageError(str(error)) from error
    values = [(path, cell) for cell in cells]
    metafunc.parametrize(_CELL, values, ids=[cell.id for cell in cells], indirect=True)


@pytest.fixture
def bench_cell(request: pytest.FixtureRequest, _bench_measurers: CellMeasurers) -> Measured:
    """A cell of bench.toml, measured; a test that takes it runs once for each cell.

    bench.toml is that of the test's directory, or of the nearest above it up to pytest's root.
    """
    from bench.core.errors import BenchError

    try:
        return _bench_measurers.measured(*request.param)
    except BenchError as error:
        problem = str(error)
    # Not in the handler, where pytest would print the error's causes before the message.
    pytest.fail(problem, pytrace=False)


@pytest.fixture(scope="session")
def _bench_measurers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CellMeasurers]:
    from bench.testing.measuring import CellMeasurers

    with CellMeasurers(tmp_path_factory.mktemp("bench")) as measurers:
        yield measurers


def _config_of(test: Path, root: Path) -> Path:
    """The nearest `bench.toml`; at pytest's root if there is none."""
    for directory in test.parents:
        if (directory / "bench.toml").is_file():
            return directory / "bench.toml"
        if directory == root:
            break
    return root / "bench.toml"
