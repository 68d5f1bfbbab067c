"""The disassembler: what a reader finds in it is what the model and the stream say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from targets.simulator.artefact import Artefact, load_artefact
from targets.simulator.disassembly import disassemble
from targets.simulator.operations import BlockOperation, Conv, Dma
from tests.vela_files import mixed_graph, run_vela, small_mlp


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_vela(small_mlp(softmax=True), tmp_path_factory.mktemp("mlp"), macs=64)


@pytest.fixture(scope="module")
def artefact(compiled: Path) -> Artefact:
    return load_artefact(compiled)


def test_every_operation_is_listed_at_its_word(artefact: Artefact) -> None:
    text = disassemble(artefact)
    (operator,) = artefact.npu_operators
    listed = [int(word) for word in re.findall(r"^ +(\d+)  [A-Z]", text, re.MULTILINE)]
    assert listed == [operation.word for operation in operator.operations]


def test_a_paragraph_states_what_the_operation_holds(artefact: Artefact) -> None:
    text = disassemble(artefact)
    (operator,) = artefact.npu_operators
    assert text.startswith("model_vela.tflite: ethos-u55-64, arena ")
    assert "input  input  int8  [1, 40]" in text
    paragraphs = dict(re.findall(r"^ +(\d+)  (.*(?:\n {13}.*)*)", text, re.MULTILINE))
    for operation in operator.operations:
        paragraph = paragraphs[str(operation.word)]
        if isinstance(operation, BlockOperation):
            for name, fm in (("ifm", operation.ifm), ("ofm", operation.ofm)):
                line = next(
                    line for line in paragraph.splitlines() if line.strip().startswith(name + " ")
                )
                assert f"{fm.dtype.value} {fm.height} x {fm.width} x {fm.depth} " in line
                assert f"region {fm.region} {fm.bases[0]:#x}," in line
                assert f"zero {fm.zero_point}" in line
            assert f"clamp {operation.activation.minimum} .. " in paragraph
        if isinstance(operation, Conv):
            assert paragraph.startswith("CONV\n")
            assert f"weights region 0 {operation.weights.address:#x}, " in paragraph
            assert "per channel" in paragraph
        if isinstance(operation, Dma) and operation.destination_region is None:
            assert "look-up tables" in paragraph
    for title in ("POOL MAX", "POOL REDUCE_SUM", "ELEMENTWISE CLZ", "STOP"):
        assert title in paragraphs.values() or any(p.startswith(title) for p in paragraphs.values())
    assert "look-up in table" in text


def test_graphs_of_several_operators(tmp_path: Path) -> None:
    text = disassemble(load_artefact(run_vela(mixed_graph(), tmp_path)))
    assert re.findall(r"^operator (\d): ([\w-]+)", text, re.MULTILINE) == [
        ("0", "ethos-u"),
        ("1", "FLOOR"),
        ("2", "ethos-u"),
    ]
    assert "FLOOR on the CPU\n  input  sum  int8  [1, 16]" in text


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_it(compiled: Path, artefact: Artefact) -> None:
    answer = bench("disasm", str(compiled))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == disassemble(artefact)


def test_the_command_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(b"nothing")
    answer = bench("disasm", str(bad))
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert "bad.tflite is not a TFLite model" in answer.stderr
    assert "Traceback" not in answer.stderr
