"""Where the keys of a configuration stand."""

from __future__ import annotations

import pytest

from bench.plan.config.lines import key_lines
from tests.support.bench_runs import DEFAULT_CONFIG

TEXT = """\
schema_version = 1
[grid]
macs = [
  32,
]
[workloads."odd name".variants.base]   # a comment
method = "train"
[[workloads.x.limits]]
metric = "npu_cycles"
max = 1
[[ workloads.x.limits ]]
metric = "accuracy"
min = 0.5
[workloads.y]
limits = [{ metric = "accuracy", min = 1 }]
text = '''
[not.a.table]
'''
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("schema_version", 1),
        ("grid", 2),
        ("grid.macs", 3),
        ("workloads.odd name.variants.base", 6),
        ("workloads.odd name.variants.base.method", 7),
        ("workloads.x.limits[0]", 8),
        ("workloads.x.limits[0].max", 10),
        ("workloads.x.limits[1]", 11),
        ("workloads.x.limits[1].min", 13),
        ("workloads.y.limits", 15),
    ],
)
def test_keys_have_their_lines(key: str, line: int) -> None:
    assert key_lines(TEXT)[key] == line


def test_every_limit_of_the_default_grid_is_found() -> None:
    text = DEFAULT_CONFIG.read_text(encoding="utf-8")
    found = key_lines(text)
    lines = text.splitlines()
    limits = [key for key in found if key.endswith("]") and ".limits[" in key]
    assert len(limits) == text.count(".limits]]")
    for key in limits:
        workload = key.split(".")[1]
        assert lines[found[key] - 1] == f"[[workloads.{workload}.limits]]"
        assert lines[found[f"{key}.metric"] - 1].startswith("metric = ")
