"""Names that somebody else chose reach no terminal and no report as commands."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.core.text import one_line, shell_words
from tests.support.bench_runs import ROOT, BenchRun, BenchRunner
from tests.support.models.tflite_factory import Op, Tensor, mlp, single_operator

#: Clears the screen, sets its title, forges a line, goes back in it, turns round, and is markup.
EVIL = "x\x1b[2J\x1b]2\x07\nFAILED forged.py::test_it - gone\r\u202etxt\u2066[red]"
SHOWN = r"x\x1b[2J\x1b]2\x07\nFAILED forged.py::test_it - gone\r\u202etxt\u2066[red]"

CONFIG = """
[grid]
macs = [32, 128]
memory_modes = ["Shared_Sram"]
targets = ["sim", "vela"]

[workloads.evil]
model = "evil.tflite"

[[workloads.evil.limits]]
metric = "npu_cycles"
max = 1
"""


#: A plugin: a worker notes what it was told by a tool that repeats such a name.
NOTES = """
from pathlib import Path
from bench.measuring.progress import ProgressEvent, append_to

def pytest_sessionstart(session):
    if hasattr(session.config, "workerinput"):
        note = ProgressEvent("note", "", "update", {note!r}, 0.0, 1)
        append_to(Path({results!r}) / "latest" / "progress.jsonl")(note)
"""


def assert_harmless(text: str) -> None:
    hidden = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}
    assert hidden <= {"\n", "\t"}, hidden
    assert not any(line.startswith("FAILED forged") for line in text.splitlines())


def bench(run: BenchRun, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "BENCH_CACHE": str(run.cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> BenchRun:
    runner = BenchRunner(tmp_path_factory.mktemp("evil"))
    weights = np.random.default_rng(1).integers(-100, 100, (64, 256), dtype=np.int8)
    model = mlp([weights], input_name=EVIL, output_name=EVIL)
    (runner.directory / "evil.tflite").write_bytes(model)
    notes = NOTES.format(note=f"a tool said {EVIL}", results=str(runner.results))
    (runner.directory / "notes.py").write_text(notes, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{runner.directory}{os.pathsep}{ROOT}")
        return runner.run(runner.write_config(CONFIG), "-n", "2", "-p", "notes")


def test_a_run_shows_the_names_and_obeys_none(run: BenchRun) -> None:
    assert run.returncode == 1
    assert_harmless(run.output)
    assert f"bench: a tool said {SHOWN}" in run.output
    # What limits the layer is told with its name.
    assert r"x\x1b[2J" in run.output
    assert "[red]" in run.output
    for name in ("junit.xml", "pytest.xml"):
        root = ElementTree.parse(run.directory.path / name).getroot()
        assert_harmless("".join(root.itertext()))
    for record in run.records().values():
        names = [layer.name for layer in record.compilation.report.layers]
        assert names == [SHOWN]


@pytest.mark.parametrize("verb", ["layers", "report", "disasm", "trace"])
def test_verbs_show_the_names_and_obey_none(run: BenchRun, verb: str, tmp_path: Path) -> None:
    cell = "evil-base-u55_128-shared_sram-sim"
    latest = str(run.directory.path)
    if verb == "disasm":
        compiled = next(run.cache.glob("v*/entries/compiled/*/*/files/*_vela.tflite"))
        text = bench(run, "disasm", str(compiled))
    elif verb == "report":
        text = bench(run, "report", latest)
    elif verb == "layers":
        text = bench(run, "layers", cell, "--run", latest)
    else:
        path = tmp_path / "trace.json"
        text = bench(run, "trace", cell, "--run", latest, "-o", str(path))
        assert_harmless(path.read_text(encoding="utf-8"))
    assert_harmless(text)
    if verb in ("layers", "disasm"):
        assert r"x\x1b[2J" in text


def test_a_model_that_is_refused_is_named_in_its_own_line(tmp_path: Path) -> None:
    tensors = [Tensor(EVIL, (1, 8), "float32") for _ in range(2)]
    model = single_operator(Op("TANH", (0,), (1,)), tensors[:1], tensors[1:])
    (tmp_path / "evil.tflite").write_bytes(model)
    runner = BenchRunner(tmp_path)
    run = runner.run(runner.write_config(CONFIG), "-n", "0")
    assert run.returncode == 4
    assert SHOWN in run.output
    assert_harmless(run.output)


def test_the_names_of_arrays_are_shown_too(tmp_path: Path) -> None:
    (tmp_path / "evil.tflite").write_bytes(mlp([np.ones((4, 8), np.int8)]))
    arrays = {"inputs": np.zeros((1, 8), np.int8), EVIL: np.zeros(1)}
    np.savez(tmp_path / "evil.npz", **arrays)  # type: ignore[arg-type]
    runner = BenchRunner(tmp_path)
    config = CONFIG.replace("[[workloads", 'dataset = "evil.npz"\n[[workloads')
    run = runner.run(runner.write_config(config), "-n", "0")
    assert run.returncode == 4
    assert SHOWN in run.output
    assert_harmless(run.output)


# What a program can be given: anything but NUL, bytes that are no text among it.
words = st.binary(max_size=30).map(lambda b: os.fsdecode(b.replace(b"\0", b"")))

texts = st.text(max_size=20).map(lambda text: text.replace("\0", ""))


@settings(max_examples=25, deadline=None)
@given(
    arguments=st.lists(words | st.text(max_size=20).map(lambda t: t.replace("\0", "")), max_size=8)
)
@example(
    arguments=[
        "a b",
        "$(touch x)",
        "`id`",
        "it's",
        "\\",
        "\n\x1b[2J'$x",
        "!!",
        "~",
        "*",
        "",
        "x\u202ey",
    ]
)
def test_a_shell_reads_the_words_again(arguments: list[str]) -> None:
    try:
        expected = b"".join(os.fsencode(word) + b"\0" for word in arguments)
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return
    line = shell_words(["printf", "%s\\0", *arguments])
    assert one_line(line) == line
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout == (expected or b"\0")


DIRECTORIES = ['a $(touch x) `touch x`; touch x; it\'s "b"', "a\nb\x1b[2J\\"]


@pytest.mark.parametrize("name", DIRECTORIES, ids=range(len(DIRECTORIES)))
def test_the_printed_command_repeats_the_judgement_wherever_the_bench_lies(
    tmp_path: Path, name: str
) -> None:
    directory = tmp_path / name
    directory.mkdir()
    runner = BenchRunner(directory)
    (directory / "evil.tflite").write_bytes(mlp([np.ones((4, 8), np.int8)]))
    config = runner.write_config(CONFIG.replace("macs = [32, 128]", "macs = [32]"))
    run = runner.run(config, "-n", "0", "-k", "npu_cycles and sim")
    assert run.returncode == 1, run.output
    (line,) = {x for x in run.output.splitlines() if x.startswith("evil-base") and "reproduce" in x}
    command = line.partition("reproduce: ")[2]
    # Pasted as it is; only the results, which every run puts elsewhere, go beside the others.
    again = subprocess.run(
        ["bash", "-c", f"{command} {shlex.quote(f'--bench-results={runner.results}')} -n 0"],
        cwd=ROOT,
        env=runner.environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 1, again.stdout + again.stderr
    assert "1 failed" in again.stdout
    assert line.partition(" reproduce")[0] in again.stdout
    assert not (ROOT / "x").exists()
    assert not (directory / "x").exists()
