"""The disassembler: what a reader finds in it is what the model and the stream say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.core.errors import ModelError
from targets.artefact import Artefact, load_artefact
from targets.artefact.debug_database import debug_database, read_database
from targets.artefact.disassembly import disassemble
from targets.artefact.stream.operations import BlockOperation, Conv, Dma
from tests.support.models.vela_files import mixed_graph, run_vela, small_mlp


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


def headings(text: str) -> list[str]:
    return re.findall(r"^  (layer \d+: .*)", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("core", "expected"),
    [
        (
            (),
            [
                "layer 0: FullyConnected  dense_0",
                "layer 1: FullyConnected  ",
                "layer 2: Softmax  ",
            ],
        ),
        (
            ("--debug-force-legacy-core",),
            ["layer 0: FullyConnected", "layer 1: FullyConnected", "layer 2: Softmax"],
        ),
    ],
    ids=["regor", "legacy core"],
)
def test_operations_stand_under_their_layer(
    core: tuple[str, ...], expected: list[str], tmp_path: Path
) -> None:
    compiled = run_vela(small_mlp(softmax=True), tmp_path, "--enable-debug-db", *core)
    answer = bench("disasm", str(compiled))
    assert answer.returncode == 0, answer.stderr
    found = headings(answer.stdout)
    assert len(found) == len(expected)
    for heading, start in zip(found, expected, strict=True):
        assert heading.startswith(start)
    first, second, softmax = re.split(r"^  layer.*\n", answer.stdout, flags=re.MULTILINE)[1:]
    assert first.count("  CONV\n") == second.count("  CONV\n") == 1
    assert softmax.count("  ELEMENTWISE ") > 20
    # The transfer of a table belongs to the layer that uses it.
    assert "look-up tables" in softmax


def test_layers_of_several_operators(tmp_path: Path) -> None:
    compiled = run_vela(mixed_graph(), tmp_path, "--enable-debug-db")
    text = disassemble(load_artefact(compiled), read_database(debug_database(compiled)))
    parts = re.split(r"^operator \d: .*\n", text, flags=re.MULTILINE)[1:]
    kinds = [[line.split()[2] for line in headings(part)] for part in parts]
    assert kinds[0][:2] == ["FullyConnected", "FullyConnected"]
    assert kinds[1] == []
    assert kinds[2].count("Add") == 2


def test_without_a_database_it_says_how_to_get_one(artefact: Artefact) -> None:
    assert "layers are not named" in disassemble(artefact)
    assert "--enable-debug-db" in disassemble(artefact)


def test_the_database_of_another_model_is_refused(artefact: Artefact, tmp_path: Path) -> None:
    other = run_vela(mixed_graph(), tmp_path, "--enable-debug-db")
    with pytest.raises(ModelError, match=r"does not belong to model_vela\.tflite"):
        disassemble(artefact, read_database(debug_database(other)))


@pytest.mark.parametrize(
    "content",
    [
        "no XML",
        "<debug/>",
        "<debug><table name='queue'>offset\n1</table></debug>",
        "<debug>"
        "<table name='optimised'>id,source_id\n1,1</table><table name='cmdstream'>id\n1</table>"
        "<table name='source'>id,operator,ext_key\n1,Add,first</table>"
        "<table name='queue'>offset,cmdstream_id,optimised_id\n0,1,1</table></debug>",
    ],
)
def test_what_is_no_database_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "model_debug.xml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"model_debug\.xml is not a debug database"):
        read_database(path)
    with pytest.raises(ModelError, match="cannot read"):
        read_database(tmp_path / "absent.xml")


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
