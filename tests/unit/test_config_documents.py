"""Whatever the configuration file holds: a configuration, or a `ConfigError` fit to be shown."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import ConfigError
from bench.core.text import printable
from bench.plan.config import fingerprint, load_config, parse_config
from bench.plan.grid import make_plan
from tests.support.bench_runs import DEFAULT_CONFIG

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PATH = Path("some/bench.toml")
MODEL = '[workloads]\nm = "m.tflite"\n'
NOBODY = "~no_such_user_here/x"


def error(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, PATH)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\0", "is not valid TOML"),
        ('[workloads]\nm = "m\\u0000.tflite"\n', r"workloads.m: holds the control character \x00"),
        ('[workloads]\nm = "m\\nx"\n', r"workloads.m: holds the control character \n"),
        ('[workloads.m]\nmodel = "m"\ntitle = "\\u001b[2J"\n', r"control character \x1b"),
        ('[workloads]\n"a\\nFAILED" = "m"\n', r"workloads.a\nFAILED: the key holds"),
        (f'[workloads]\nm = "{"x" * 5000}"\n', "workloads.m: has 5,000 characters"),
        (f"schema_version = {'9' * 5000}\n", "bench.toml"),
        (f"schema_version = {'9' * 4000}\n", "schema_version: the number does not fit"),
        (f"schema_version = {1 << 63}\n", "schema_version: the number does not fit"),
        (f"schema_version = {'[' * 100_000}", "is nested too deeply"),
        (f"schema_version = {'[' * 200}{']' * 200}", "is nested too deeply"),
        (f"{'a.' * 5000}b = 1", "is nested too deeply"),
        (f"{MODEL}[vela]\ntimeout_s = inf\n", "vela.timeout_s: inf is not a finite number"),
        (f"{MODEL}[sweep]\nstarved_below = nan\n", "sweep.starved_below: nan is not a finite"),
        (f"{MODEL}[vela]\ntimeout_s = 1e300\n", "vela.timeout_s"),
        (f"{MODEL}[targets.fvp]\ntimeout_s = 1e300\n", "targets.fvp.timeout_s"),
        (f"{MODEL}[targets.mps3]\nquarantine_hours = 1e300\n", "targets.mps3.quarantine_hours"),
        ('[workloads.m]\nmodel = "m"\nseed = -1\n', "workloads.m.seed"),
        ('[workloads.m]\nmodel = "m"\nseed = 4294967296\n', "workloads.m.seed"),
        ('[workloads.m]\nrecipe = "mnist_fc"\nseed = -1\n', "workloads.m.seed"),
        (f'[workloads]\nm = "{NOBODY}"\n', "workloads.m.model: ~no_such_user_here/x: no home"),
        (f'{MODEL}[vela]\nconfig_file = "{NOBODY}"\n', "vela.config_file: ~no_such_user_here"),
        (f'{MODEL}[targets.fvp]\nexecutable = "{NOBODY}"\n', "targets.fvp: ~no_such_user_here"),
        (f'{MODEL}[targets.mps3]\nstate_directory = "{NOBODY}"\n', "targets.mps3: ~no_such_user"),
    ],
)
def test_what_no_setting_can_be_is_refused_by_its_key(text: str, said: str) -> None:
    message = error(text)
    assert message.startswith(f"{PATH}: ")
    assert said in message
    assert all(line.startswith((f"{PATH}: ", "  ")) for line in message.splitlines())


def test_every_refused_value_has_its_line() -> None:
    message = error('[vela]\ntimeout_s = inf\n[workloads]\nm = "a\\u0000"\n')
    assert sorted(line.split(": ")[1] for line in message.splitlines()) == [
        "vela.timeout_s",
        "workloads.m",
    ]


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MODEL.encode())
    assert set(load_config(path).workloads) == {"m"}


def test_a_pipe_and_a_device_are_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "bench.toml"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(ConfigError, match=f"{path}: cannot be read: not a regular file"):
            load_config(path)


def test_a_file_of_another_kind_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ConfigError, match="larger than"):
        load_config(path)


def test_a_directory_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    directory = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    directory.mkdir()
    (directory / "bench.toml").write_text(MODEL, encoding="utf-8")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_config(directory / "bench.toml")


def toml(value: object) -> str:
    """`value` as a TOML value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value)


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every value of a document."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path, *(p for key, inner in items for p in places(inner, (*path, key)))]


def leaves(value: object) -> Iterator[object]:
    """The values of a document that are neither table nor array, and the keys."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


DOCUMENT = {
    **tomllib.loads(DEFAULT_CONFIG.read_text(encoding="utf-8")),
    "vela": {"timeout_s": 60.0, "optimise": "Size"},
    "timing": {"mine": {"sram": {"rlatency": 1}, "ext": {"burst": 64}}},
    "targets": {
        "fvp": {"executable": "a/fvp", "parameters": {"a.b": 1}, "seats": 1},
        "mps3": {"state_directory": "a", "quarantine_hours": 1.0},
    },
}
DOCUMENT["workloads"]["mine"] = {"model": "m.tflite", "seed": 1, "random_inputs": 2}
# What breaks programs: at the borders of types, in disguise, far too large.
STRANGE: dict[type, st.SearchStrategy[object]] = {
    str: st.sampled_from(["", "~", NOBODY, "/dev/zero", "a\0b", "\x1b[2J", "\u2028", "x" * 9999]),
    float: st.sampled_from([math.inf, -math.inf, math.nan, 1e300, -1.0, 5e-324]),
    int: st.sampled_from([10**400, 1 << 63, -1, 0, (1 << 63) - 1]),
}
ANYTHING = st.recursive(
    st.integers() | st.floats() | st.booleans() | st.text() | st.one_of(list(STRANGE.values())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def understood(text: str | bytes, directory: Path) -> None:
    """It is understood, and then usable, or refused in words fit for a terminal."""
    path = directory / "bench.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        config = load_config(path)
        make_plan(config)
    except ConfigError as refused:
        words = str(refused)
    else:
        words = fingerprint(config, directory)
        dumped = config.model_dump(mode="json")
        assert type(config).model_validate(dumped) == config
        for leaf in leaves(dumped):
            assert not isinstance(leaf, float) or math.isfinite(leaf)
            assert not isinstance(leaf, int) or abs(leaf) <= 1 << 63
            assert not isinstance(leaf, str) or leaf.isascii() <= leaf.isprintable()
    assert printable(words) == words


@given(content=st.binary() | st.text().map(str.encode))
def test_any_bytes_are_understood_or_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    understood(content, tmp_path_factory.getbasetemp())


@settings(max_examples=150)
@given(data=st.data())
def test_any_value_at_any_place_is_understood_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(places(document)[1:]))
        inner = document
        for key in way:
            inner = inner[key]
        # Of the same kind as what stands there, or of any.
        inner[last] = data.draw(STRANGE.get(type(inner[last]), ANYTHING) | ANYTHING)
    text = "\n".join(f"{json.dumps(k)} = {toml(v)}" for k, v in document.items())
    understood(text, tmp_path_factory.getbasetemp())
