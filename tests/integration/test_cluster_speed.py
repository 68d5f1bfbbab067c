"""The benchmark of clusters, in small: what a cell costs besides its work stays small.

`tests/promises` holds how busy the workers are, on a calm machine; here other tests run meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bench_runs import ROOT
from tests.support.slowness import slowness

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")


@pytest.mark.slow
def test_a_cell_costs_little_more_than_its_work(tmp_path: Path) -> None:
    report = tmp_path / "speed.json"
    allowed = slowness()
    subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.cluster_speed", "--cells", "1000"),
            *("--scaling", "8", "--each", "2", "--json", str(report)),
        ],
        cwd=ROOT,
        check=True,
        timeout=300,
    )
    found = json.loads(report.read_text(encoding="utf-8"))
    (scaled,) = found["scaled"]
    assert (scaled["workers"], scaled["cells"]) == (8, 16)
    assert found["small"]["overhead_ms"] < 5 * allowed
    assert found["small"]["peak_mib"] < 500
