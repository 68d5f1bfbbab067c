"""Configuration files: documents with other values, and text that is hardly TOML."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.plan.config import fingerprint, load_config, timing_of
from bench.plan.config.document import read_text
from bench.plan.config.lines import key_lines
from bench.plan.grid import make_plan
from tests.fuzz.inputs.trees import odd_file
from tests.fuzz.inputs.values import mutate_document
from tests.fuzz.mutate_bytes import mutate_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["RICH", "configuration_case"]

Random = np.random.Generator

#: What the other seeds leave out, each key once.
RICH = """
schema_version = 1

[grid]
workloads = ["kws", "far"]
variants = ["base"]
macs = [128, 256]
memory_modes = ["Shared_Sram"]
system_configs = ["Ethos_U55_High_End_Embedded"]
timing_profiles = ["default", "mine"]
targets = ["sim", "vela"]

[vela]
optimise = "Size"
config_file = "vela.ini"
timeout_s = 60.5
memory_mib = 1024

[sweep]
starved_below = 0.3
memory_share_from = 0.6

[reference]
samples = 10

[data]
mnist = "subset"

[timing.mine]
{timing}
[workloads.kws]
title = "A model of one's own"
model = "kws.tflite"
dataset = "kws.npz"
metric = "metrics.py:within_one"
output = "scores"
max_saturated = 0.1
random_inputs = 5
seed = 7
expect_bound = {{ Shared_Sram = "compute" }}

[[workloads.kws.limits]]
metric = "accuracy"
min = 0.5

[[workloads.kws.limits]]
metric = "npu_cycles"
macs = [128]
memory_modes = ["Shared_Sram"]
variants = ["base"]
max = 100_000

[workloads.far]
url = "https://example.org/far.tflite"
sha256 = "{digest}"
"""


def configuration_case(
    seeds: tuple[str, ...], directory: Path, random: Random
) -> tuple[str, Callable[[], str]]:
    """A mutant of one of `seeds` (texts of configurations) in `directory`, and its reading."""
    path = directory / "bench.toml"
    text = seeds[int(random.integers(len(seeds)))]
    if random.random() < 0.02:
        what = f"is {odd_file(path, random)}"
    elif random.random() < 0.3:
        what, data = mutate_bytes(text.encode(), random, resize=bool(random.random() < 0.5))
        path.write_bytes(data)
    elif random.random() < 0.2:
        what, text = _mutated_lines(text, random)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    else:
        what, document = mutate_document(tomllib.loads(text), random)
        path.write_bytes(_toml(document).encode("utf-8", "surrogatepass"))
    return what, lambda: _read(path)


def _read(path: Path) -> str:
    config = load_config(path)
    plan = make_plan(config)
    key_lines(read_text(path))
    fingerprint(config, path.parent)
    for cell in plan.cells:
        timing_of(config, cell)
    return ""


#: Lines that mean something to a reader of TOML.
_ODD_LINES = (
    *("[", "]", "[[", "[grid]", "[[grid]]", "[grid.macs]", "[workloads]", "a = ", "= 1", '""" '),
    *("'''", "a.b.c = 1", '"" = 1', "x = 1979-05-27T07:32:00Z", "x = 0x" + "f" * 5000),
    *(
        "x = " + "[" * 3000,
        "x = " + "{a=" * 3000,
        "x = 1e999",
        "x = " + "9" * 5000,
        "\ufeff",
        "\x00",
    ),
    *("[a." + ".".join("b" * 500) + "]", "\r", "\udc80", "x = '\x7f'", "# " + "c" * 100_000),
)


def _mutated_lines(text: str, random: Random) -> tuple[str, str]:
    """Lines twice, missing, elsewhere or strange."""
    lines = text.splitlines()
    done = []
    for _ in range(int(min(random.geometric(0.5), 4))):
        at, other = (int(random.integers(len(lines))) for _ in range(2))
        way = int(random.integers(4))
        if way == 0:
            lines.insert(other, lines[at])
        elif way == 1 and len(lines) > 1:
            lines.pop(at)
        elif way == 2:
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines.insert(at, _ODD_LINES[int(random.integers(len(_ODD_LINES)))])
        done.append(("twice", "missing", "swapped", "odd line")[way])
    return "+".join(done), "\n".join(lines) + "\n"


def _toml(document: dict[str, Any]) -> str:
    """`document` as TOML, with headers for the outer tables: what `key_lines` follows."""
    return "\n".join(_table(document, ())) + "\n"


def _table(table: dict[str, Any], place: tuple[str, ...]) -> Iterator[str]:
    inner = {k: v for k, v in table.items() if isinstance(v, dict) and v and len(place) < 4}
    if place:
        yield f"[{'.'.join(map(_text, place))}]"
    for key, value in table.items():
        if key not in inner:
            yield f"{_text(key)} = {_value(value)}"
    for key, value in inner.items():
        yield from _table(value, (*place, key))


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    r"""A basic string. TOML has the escapes of JSON but for `\/`, and no halves of pairs."""
    return json.dumps(text, ensure_ascii=False)
