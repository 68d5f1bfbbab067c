"""The documentation agrees with the code: commands, options, snippets, links, the schema."""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer.main

from bench.cli import main as cli
from bench.compiler.ini import check_sections
from bench.history.comparison import Comparison
from bench.plan.config import BenchConfig, load_config, parse_config
from bench.plan.document import PlanDocument
from bench.plan.metrics import MetricName
from bench.records.record import Record, Status
from bench.report.exports.document import ExportedRun
from targets.registry import TARGETS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "benchmarks").glob("*.md"), *(ROOT / "docs").rglob("*.md")]
)
GUIDE = ROOT / "docs" / "guide.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))

#: First line of a configuration in the docs that stands alone; others are changes to bench.toml.
WHOLE_FILE = "# A whole file."

#: Columns of prose.
WIDTH = 100

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\((?P<place>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(language: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            if match["language"] == language:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Block(page, line, language, match["text"]))
    return found


def commands() -> Iterator[tuple[Path, list[str]]]:
    """Every command line in the docs, in shell blocks and in code spans, as words."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [
            line
            for m in _FENCE.finditer(text)
            if m["language"] == "sh"
            for line in m["text"].splitlines()
        ]
        for line in [*lines, *_SPAN.findall(_FENCE.sub("", text))]:
            words = shlex.split(line, comments=True) if _is_command(line) else []
            while words and "=" in words[0]:
                words = words[1:]
            if words:
                yield page, [words[0].removeprefix(".venv/bin/"), *words[1:]]


def _is_command(line: str) -> bool:
    return re.match(r"([A-Z_]+=\S+ )*(\.venv/bin/)?(bench|pytest|make|python) ", line) is not None


def slug(heading: str) -> str:
    """A heading's anchor as GitHub and GitLab make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def merged(base: Any, change: Any) -> Any:
    """`base` with the tables of `change` laid over it; arrays of tables are appended."""
    if isinstance(base, dict) and isinstance(change, dict):
        keys = dict.fromkeys([*base, *change])
        return {
            k: merged(base[k], change[k]) if k in base and k in change else {**base, **change}[k]
            for k in keys
        }
    if (
        isinstance(base, list)
        and isinstance(change, list)
        and change
        and isinstance(change[0], dict)
    ):
        return base + change
    return change


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_configuration_snippets_are_accepted(block: Block) -> None:
    if block.text.startswith(WHOLE_FILE):
        assert parse_config(block.text, ROOT / "snippet.toml").workloads
        return
    document = tomllib.loads(block.text)
    base = tomllib.loads((ROOT / "bench.toml").read_text(encoding="utf-8"))
    workloads = document.get("workloads", {})
    # What the reader has put there following an earlier snippet.
    for name in document.get("grid", {}).get("workloads", ()):
        if name not in base["workloads"] and name not in workloads:
            base["workloads"][name] = "model.tflite"
    BenchConfig.model_validate(merged(base, document))


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_vela_configurations_are_accepted(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "board.ini"
    path.write_text(block.text, encoding="utf-8")
    names = re.findall(r"^\[System_Config\.(.+)\]$", block.text, re.MULTILINE)
    modes = re.findall(r"^\[Memory_Mode\.(.+)\]$", block.text, re.MULTILINE)
    assert names
    assert modes
    for name in names:
        for mode in modes:
            check_sections(path, name, mode)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_snippets_parse(block: Block) -> None:
    ast.parse(block.text)


def bench_commands() -> dict[tuple[str, ...], set[str]]:
    """Every command of the `bench` program and its options; `()` is the program itself."""
    found: dict[tuple[str, ...], set[str]] = {}

    def walk(path: tuple[str, ...], command: Any) -> None:
        for name, child in getattr(command, "commands", {}).items():
            walk((*path, name), child)
        if not path or not getattr(command, "commands", {}):
            options = {o for p in command.params for o in p.opts if o.startswith("-")}
            found[path] = {"--help", *options}

    walk((), typer.main.get_command(cli.commands))
    return found


def default_verbs() -> dict[str, str]:
    """The verbs with verbs below them -> the one that is meant where none is named."""
    groups = typer.main.get_command(cli.commands).commands  # type: ignore[attr-defined]
    found = {name: getattr(group, "default_verb", "") for name, group in groups.items()}
    return {name: verb for name, verb in found.items() if verb}


def test_bench_commands_in_the_docs_exist() -> None:
    known, defaults = bench_commands(), default_verbs()
    named: set[tuple[str, ...]] = set()
    for page, words in commands():
        if words[0] != "bench":
            continue
        common = list(itertools.takewhile(known[()].__contains__, words[1:]))
        named.update([()] if common else [])
        words = words[1 + len(common) :]
        if not words:
            continue
        if words[0] in defaults and tuple(words[:2]) not in known:
            words.insert(1, defaults[words[0]])
        path = tuple(words[: 2 if words[0] in {p[0] for p in known if len(p) > 1} else 1])
        assert path in known, f"{page}: bench {' '.join(path)} does not exist"
        named.add(path)
        if path == ("run",):
            # Its options are those of pytest.
            continue
        options = {w.split("=")[0] for w in words if w.startswith("-")}
        assert options <= known[path], f"{page}: bench {' '.join(path)}: no {options - known[path]}"
    missing = set(known) - named - {("version",)}
    assert not missing, f"no page tells of {missing}"


def test_pytest_options_in_the_docs_exist(pytestconfig: pytest.Config) -> None:
    known = {
        option
        for group in [pytestconfig._parser._anonymous, *pytestconfig._parser._groups]
        for each in group.options
        if each.attrs().get("help") != argparse.SUPPRESS
        for option in each.names()
    }
    named = set()
    # `bench run` has a few options of its own, and passes the others on.
    own = bench_commands()["run",] - {"--help"}
    for page, words in commands():
        if words[0] == "pytest" or words[:2] == ["bench", "run"]:
            options = {w.split("=")[0] for w in words[1:] if w.startswith("-")}
            options -= own if words[0] == "bench" else set()
            assert options <= known, f"{page}: pytest has no {options - known}"
    for page in PAGES:
        found = set(re.findall(r"--bench-[a-z-]+", page.read_text(encoding="utf-8")))
        assert found <= known, f"{page}: pytest has no {found - known}"
        named |= found
    assert {o for o in known if o.startswith("--bench-")} <= named, "an option is not documented"


def test_make_targets_in_the_docs_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    named = {words[1] for _, words in commands() if words[0] == "make" and len(words) > 1}
    assert named <= rules, "a page names a target that is not there"
    assert rules - {"help"} <= named, "no page tells of a target"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_maps_of_the_tests_hold_every_directory(page: str) -> None:
    rows = re.findall(r"^\| `tests/(\w+)/` \|", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    tracked = {p.name for p in (ROOT / "tests").iterdir() if any(p.glob("[!_.]*"))}
    assert sorted(rows) == sorted(tracked - {"__pycache__"})


def test_tests_named_in_the_docs_exist() -> None:
    for page in PAGES:
        for path in re.findall(r"tests/[\w/]+\.py", page.read_text(encoding="utf-8")):
            assert (ROOT / path).is_file(), f"{page} names {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_relative_links_resolve(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for match in _LINK.finditer(text):
        if "://" in match["place"]:
            continue
        target = (page.parent / match["place"]).resolve() if match["place"] else page
        assert target.exists(), f"{match[0]} leads nowhere"
        if match["anchor"]:
            body = _FENCE.sub("", target.read_text(encoding="utf-8"))
            anchors = {slug(h) for h in re.findall(r"^#+ (.+)$", body, re.MULTILINE)}
            assert match["anchor"] in anchors, f"{match[0]} leads to no heading"


def test_figure_and_table_of_the_readme_are_of_one_run() -> None:
    tree = ElementTree.parse(ROOT / "docs" / "figures" / "mac_sweep.svg")
    told = tree.findtext("{http://www.w3.org/2000/svg}desc") or ""
    cycles = re.findall(r"([\d,]+) at \d+", told)
    assert len(cycles) >= 2 * 4 * 4, "two workloads, four variants, four accelerators"
    table = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [c for c in cycles if f" {c} " not in table] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_prose_is_wrapped_at_one_width(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for line in text.splitlines():
        # A table's row and a picture cannot be wrapped; a long address can stand alone.
        if len(line) > WIDTH and not re.match(r"\||!\[|\s*\S+$", line):
            pytest.fail(f"{len(line)} columns, at most {WIDTH}: {line}")


def test_record_schema_is_current() -> None:
    stored = json.loads((ROOT / "docs" / "record.schema.json").read_text(encoding="utf-8"))
    assert stored == Record.model_json_schema(), "run: bench schema > docs/record.schema.json"


def test_comparison_schema_is_current() -> None:
    stored = json.loads((ROOT / "docs" / "comparison.schema.json").read_text(encoding="utf-8"))
    cure = "run: bench schema comparison > docs/comparison.schema.json"
    assert stored == Comparison.model_json_schema(), cure


def test_plan_schema_is_current() -> None:
    stored = json.loads((ROOT / "docs" / "plan.schema.json").read_text(encoding="utf-8"))
    assert stored == PlanDocument.model_json_schema(), "run: bench schema plan"


def test_export_schema_is_current() -> None:
    stored = json.loads((ROOT / "docs" / "export.schema.json").read_text(encoding="utf-8"))
    cure = "run: bench schema export > docs/export.schema.json"
    assert stored == ExportedRun.model_json_schema(), cure


@pytest.mark.parametrize(
    "name", [*(m.value for m in MetricName), *(s.value.upper() for s in Status), *TARGETS]
)
def test_guide_tells_of_every_metric_verdict_and_target(name: str) -> None:
    assert f"`{name}`" in GUIDE.read_text(encoding="utf-8")


def test_messages_in_the_troubleshooting_table_are_the_programs_own() -> None:
    said = [(ROOT / "Makefile").read_text(encoding="utf-8")]
    for source in (
        p for name in ("bench", "models", "targets") for p in (ROOT / name).rglob("*.py")
    ):
        said += [
            node.value
            for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
    table = GUIDE.read_text(encoding="utf-8").partition("## Troubleshooting")[2]
    rows = re.findall(r"^\| (.+?) \| ", table, re.MULTILINE)
    phrases = [phrase for row in rows for phrase in _SPAN.findall(row)]
    assert len(phrases) > 10
    for phrase in phrases:
        assert any(phrase in text for text in said), f"nothing says {phrase!r}"


def test_guide_states_the_default_thresholds() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    sweep = load_config(ROOT / "bench.toml").sweep
    for key, value in sweep.model_dump().items():
        assert f"{key} = {value}" in text


@pytest.mark.parametrize("path", DECISIONS, ids=lambda p: p.stem)
def test_decisions_have_the_agreed_form_and_are_listed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    number = int(path.name.split("-")[0])
    assert text.startswith(f"# {number}. ")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["Context", "Options", "Choice", "Consequences"]
    assert f"]({path.name})" in (path.parent / "README.md").read_text(encoding="utf-8")
