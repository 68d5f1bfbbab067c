"""Reading compiled models: Vela's formats, graphs with several operators, damaged files."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.compiler import VelaOptions, compile_model
from bench.core.errors import ModelError, TargetError
from bench.tflite.model_file import inspect
from targets.artefact import (
    ArenaRegion,
    Artefact,
    CpuOperator,
    FlashRegion,
    InterfaceRegion,
    NpuOperator,
    load_artefact,
)
from targets.artefact.driver_actions import PayloadFormat, parse_payload
from targets.artefact.errors import StreamError
from targets.artefact.stream.operations import (
    BlockOperation,
    Conv,
    Depthwise,
    Elementwise,
    FeatureMap,
)
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.simulator.simulator import Simulator
from tests.support.models.vela_files import mixed_graph, run_vela, small_mlp, zoo

SEPARATE = ("--cop-format", "COP2", "--separate-io-regions")

FUZZ = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small model in every form Vela writes, and a graph of several operators."""
    root = tmp_path_factory.mktemp("vela")
    model, graph = small_mlp(softmax=True), mixed_graph()
    return {
        "COP1": run_vela(model, root / "cop1"),
        "COP2": run_vela(model, root / "cop2", "--cop-format", "COP2"),
        "raw": run_vela(model, root / "raw", "--output-format", "raw"),
        "separate": run_vela(model, root / "separate", *SEPARATE),
        "legacy": run_vela(model, root / "legacy", "--debug-force-legacy-core"),
        "mixed": run_vela(graph, root / "mixed"),
        "mixed separate": run_vela(graph, root / "mixed_separate", *SEPARATE),
    }


def feature_maps(operator: NpuOperator) -> list[FeatureMap]:
    maps = []
    for operation in operator.operations:
        if isinstance(operation, BlockOperation):
            maps += [operation.ifm, operation.ofm]
        if isinstance(operation, Elementwise) and operation.ifm2 is not None:
            maps.append(operation.ifm2)
    return maps


def assert_consistent(artefact: Artefact) -> None:
    """Everything the stream names exists in the file."""
    for operator in artefact.npu_operators:
        for feature_map in feature_maps(operator):
            region = operator.regions[feature_map.region]
            size = region.data.size if isinstance(region, FlashRegion) else region.length
            assert feature_map.bases[0] < size
        flash = operator.regions[0]
        assert isinstance(flash, FlashRegion)
        for operation in operator.operations:
            if isinstance(operation, Conv | Depthwise) and operation.weights.region == 0:
                assert operation.weights.address + operation.weights.length <= flash.data.size
                assert operation.scales.address + operation.scales.length <= flash.data.size
        for region in operator.regions.values():
            if isinstance(region, ArenaRegion):
                assert region.offset + region.length <= artefact.arena_bytes


def test_cop1(files: dict[str, Path]) -> None:
    artefact = load_artefact(files["COP1"])
    assert artefact.macs == 128
    assert artefact.name == "model_vela.tflite"
    assert artefact.file is not None
    assert artefact.file.data == files["COP1"].read_bytes()
    (operator,) = artefact.npu_operators
    payload = operator.payload
    assert payload.format is PayloadFormat.COP1
    assert (payload.macs, payload.id_word) == (128, 0x10066001)
    assert payload.architecture == "1.0.6"
    assert payload.first_word % 4 == 0
    model = inspect(files["COP1"])
    for indices, infos in ((artefact.inputs, model.inputs), (artefact.outputs, model.outputs)):
        (tensor,) = (artefact.tensors[i] for i in indices)
        (info,) = infos
        assert (tensor.name, tensor.shape, tensor.dtype) == (info.name, info.shape, info.dtype)
        assert (tensor.scales, tensor.zero_points) == (info.scales, info.zero_points)
        assert tensor.size == info.shape[1]
        assert tensor.offset is not None
    assert operator.inputs == artefact.inputs
    assert operator.outputs == artefact.outputs
    # The first layer reads the input where the file says it is, the last writes the output.
    maps = feature_maps(operator)
    assert maps[0].bases[0] == artefact.tensors[artefact.inputs[0]].offset
    last = [op for op in operator.operations if isinstance(op, BlockOperation)][-1]
    assert last.ofm.bases[0] == artefact.tensors[artefact.outputs[0]].offset
    assert_consistent(artefact)


def test_the_formats_hold_the_same_stream(files: dict[str, Path]) -> None:
    expected = load_artefact(files["COP1"])
    (operator,) = expected.npu_operators
    for form in ("COP2", "raw"):
        artefact = load_artefact(files[form])
        (other,) = artefact.npu_operators
        assert np.array_equal(other.payload.commands, operator.payload.commands)
        assert other.operations == operator.operations
        assert artefact.arena_bytes == expected.arena_bytes
        assert np.array_equal(other.regions[0].data, operator.regions[0].data)  # type: ignore[union-attr]
        for ours, theirs in (
            (artefact.inputs, expected.inputs),
            (artefact.outputs, expected.outputs),
        ):
            for i, j in zip(ours, theirs, strict=True):
                a, b = artefact.tensors[i], expected.tensors[j]
                assert (a.shape, a.dtype, a.offset) == (b.shape, b.dtype, b.offset)
    assert load_artefact(files["COP2"]).npu_operators[0].payload.format is PayloadFormat.COP2
    assert load_artefact(files["raw"]).file is None


def test_the_legacy_compiler_core_is_read_too(files: dict[str, Path]) -> None:
    artefact = load_artefact(files["legacy"])
    assert artefact.macs == 128
    assert artefact.tensors[artefact.outputs[0]].shape == (1, 10)
    assert_consistent(artefact)


def test_operators_of_npu_and_cpu_in_one_graph(files: dict[str, Path]) -> None:
    artefact = load_artefact(files["mixed"])
    first, floor, second = artefact.operators
    assert isinstance(first, NpuOperator)
    assert isinstance(floor, CpuOperator)
    assert isinstance(second, NpuOperator)
    assert (floor.name, floor.index) == ("FLOOR", 1)
    names = [tensor.name for tensor in artefact.tensors]
    assert [names[i] for i in artefact.inputs] == ["a", "b"]
    assert [names[i] for i in artefact.outputs] == ["first", "second"]
    assert [names[i] for i in first.outputs] == ["sum"]
    assert [names[i] for i in floor.inputs] == ["sum"]
    assert [names[i] for i in floor.outputs] == ["floored"]
    assert {names[i] for i in second.inputs} == {"floored", "sum"}
    assert first.regions[1] == second.regions[1]
    assert_consistent(artefact)


@pytest.mark.parametrize("form", ["separate", "mixed separate"])
def test_separate_regions_hold_every_feature_map_of_the_interface(
    files: dict[str, Path], form: str
) -> None:
    artefact = load_artefact(files[form])
    touched = set()
    for operator in artefact.npu_operators:
        assert operator.payload.separate_io_regions
        slots = {}
        for number in (3, 4):
            region = operator.regions[number]
            assert isinstance(region, InterfaceRegion)
            for index, offset in region.slots:
                slots[number, offset] = artefact.tensors[index]
                assert offset + artefact.tensors[index].size <= region.length
                assert artefact.tensors[index].offset is None
        members = {tensor.index for tensor in slots.values()}
        assert members == {*operator.inputs, *operator.outputs}
        for feature_map in feature_maps(operator):
            if feature_map.region in (3, 4):
                tensor = slots[feature_map.region, feature_map.bases[0]]
                assert feature_map.height * feature_map.width * feature_map.depth == tensor.size
                touched.add(tensor.name)
    assert len(touched) == {"separate": 2, "mixed separate": 6}[form]
    assert_consistent(artefact)


@pytest.mark.parametrize("mode", list(MemoryMode))
@pytest.mark.parametrize("macs", [Accelerator.U55_32, Accelerator.U55_256])
@pytest.mark.parametrize("name", ["ad01_int8", "kws_ref_model"])
def test_real_models(name: str, macs: Accelerator, mode: MemoryMode, tmp_path: Path) -> None:
    model = zoo() / f"{name}.tflite"
    compiled = compile_model(model, VelaOptions(accelerator=macs, memory_mode=mode), tmp_path)
    artefact = load_artefact(compiled.path(tmp_path))
    assert artefact.macs == macs
    source = inspect(model)
    for indices, infos in ((artefact.inputs, source.inputs), (artefact.outputs, source.outputs)):
        assert [artefact.tensors[i].shape for i in indices] == [info.shape for info in infos]
        assert [artefact.tensors[i].dtype for i in indices] == [info.dtype for info in infos]
    (operator,) = artefact.npu_operators
    # A layer may be split, never lost.
    weighted = [op for op in source.operators if op.name in ("CONV_2D", "FULLY_CONNECTED")]
    assert sum(isinstance(op, Conv) for op in operator.operations) >= len(weighted)
    assert_consistent(artefact)


def payload_of(path: Path) -> bytes:
    """The first tensor of the `ethos-u` operator."""
    artefact = load_artefact(path)
    stream = next(t for t in artefact.tensors if "command_stream" in t.name)
    assert stream.constant is not None
    return stream.constant.tobytes()


def with_word(data: bytes, index: int, value: int) -> bytes:
    return data[: 4 * index] + struct.pack("<I", value) + data[4 * index + 4 :]


@pytest.mark.parametrize(
    ("form", "index", "value", "says"),
    [
        ("COP1", 0, 0x33504F43, "begins with b'COP3'"),
        ("COP1", 1, 0x77, "unexpected driver action"),
        ("COP1", 2, 0x1005 | 1 << 28, "product 1"),
        ("COP1", 2, 0x1807 | 1 << 4, "none of an Ethos-U55"),
        ("COP1", 2, 0x1007, "none of an Ethos-U55"),
        ("COP1", 2, 0x1809, "none of an Ethos-U55"),
        ("COP1", 3, 0x20066001, "architecture 2"),
        ("COP1", 7, 0xFFFF0002, "words follow"),
        ("COP1", 7, 0x00000002, "a stream of 0 words"),
        ("COP1", 7, 0x00010002, "unexpected driver action"),
        ("COP2", 1, 2, "version of the header"),
        ("COP2", 2, 0, "0 bytes stated"),
        ("COP2", 4, 9, "type of the first entry"),
        ("COP2", 5, 16, "an entry of 16 bytes"),
        ("COP2", 6, 4, "4 bytes of metadata"),
        ("COP2", 6, 0xFFFF_FFF0, "bytes of metadata"),
        ("COP2", 7, 0, "kind of metadata"),
        ("COP2", 10, 0x1005 | 1 << 28, "product 1"),
        ("COP2", 12, 4, "unknown features"),
    ],
)
def test_damaged_driver_actions(
    files: dict[str, Path], form: str, index: int, value: int, says: str
) -> None:
    data = payload_of(files[form])
    with pytest.raises(StreamError, match=rf"word \d+ \(driver actions\): .*{says}"):
        parse_payload(with_word(data, index, value))


@pytest.mark.parametrize("form", ["COP1", "COP2"])
def test_truncated_driver_actions(files: dict[str, Path], form: str) -> None:
    data = payload_of(files[form])
    for length in (*range(68), len(data) - 4, len(data) - 1):
        with pytest.raises(StreamError, match="driver actions"):
            parse_payload(data[:length])


def test_a_fault_in_the_stream_names_its_word(files: dict[str, Path], tmp_path: Path) -> None:
    data = payload_of(files["COP1"])
    whole = files["COP1"].read_bytes()
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(whole.replace(data, with_word(data, 8 + 3, 0x3FF)))
    with pytest.raises(StreamError, match=r"word 3 \(word\): 0x000003ff is not a command") as error:
        load_artefact(bad)
    assert str(error.value).startswith(f"the compiled model {bad}, operator 0: ")
    assert "compile" in error.value.cure


def test_a_fault_in_the_second_stream_names_its_operator(
    files: dict[str, Path], tmp_path: Path
) -> None:
    """Found while preparing: the stream is legal, its memory is another."""
    artefact = load_artefact(files["mixed"])
    first, floor, second = artefact.operators
    assert isinstance(second, NpuOperator)
    short = replace(second, regions={**second.regions, 1: ArenaRegion(0, 8)})
    with pytest.raises(StreamError, match=r"model_vela\.tflite, operator 2: word \d+ \(NPU_OP_\w+"):
        Simulator(replace(artefact, operators=(first, floor, short)))


def test_another_accelerator_is_refused(files: dict[str, Path]) -> None:
    for form in ("COP1", "COP2", "raw"):
        with pytest.raises(TargetError, match=r"128 MACs.* 32") as error:
            Simulator(files[form], Accelerator.U55_32)
        assert "ethos-u55-32" in error.value.cure


def test_operators_of_two_accelerators_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    small = run_vela(mixed_graph(), tmp_path, macs=32)
    content = small.read_bytes()
    assert content.count(b"COP1") == 2
    # The configuration of 64 MACs has as much SHRAM.
    at = content.index((0x1005).to_bytes(4, "little"), content.rindex(b"COP1"))
    small.write_bytes(content[:at] + (0x1006).to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(ModelError, match=r"different accelerators: \[32, 64\] MACs"):
        load_artefact(small)


def test_a_file_without_the_plan_of_the_arena(files: dict[str, Path], tmp_path: Path) -> None:
    whole = files["COP1"].read_bytes()
    assert whole.count(b"OfflineMemoryAllocation") == 1
    bad = tmp_path / "bad.tflite"
    bad.write_bytes(whole.replace(b"OfflineMemoryAllocation", b"OfflineMemoryAllocatiom"))
    with pytest.raises(ModelError, match="no metadata OfflineMemoryAllocation"):
        load_artefact(bad)


def test_a_model_that_was_never_compiled_has_no_npu_operators(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(small_mlp())
    artefact = load_artefact(path)
    assert artefact.macs is None
    assert artefact.npu_operators == ()
    assert [op.name for op in artefact.operators if isinstance(op, CpuOperator)] == [
        "FULLY_CONNECTED",
        "FULLY_CONNECTED",
    ]


@pytest.mark.parametrize("suffix", ["tflite", "npz"])
def test_files_that_are_missing_or_something_else(tmp_path: Path, suffix: str) -> None:
    for path in (tmp_path / f"absent.{suffix}", tmp_path / f"directory.{suffix}"):
        if path.stem == "directory":
            path.mkdir()
        with pytest.raises(ModelError, match=path.name):
            load_artefact(path)
    text = tmp_path / f"text.{suffix}"
    text.write_text("no model", encoding="utf-8")
    with pytest.raises(ModelError, match=f"text.{suffix}"):
        load_artefact(text)


def test_a_raw_file_never_unpickles_and_misses_nothing(
    files: dict[str, Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(files["raw"]) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    # Vela itself puts pickles in.
    assert any(b"'descr': '|O'" in data for data in members.values())
    pickled = next(data for data in members.values() if b"'descr': '|O'" in data)
    for name in ("cmd_data.npy", "weight_data.npy", "scratch_size.npy", "input_offset.npy"):
        for replacement in (None, pickled, members[name][:-1], members[name][:40]):
            bad = tmp_path / "bad.npz"
            with zipfile.ZipFile(bad, "w") as archive:
                for other, data in members.items():
                    if other != name:
                        archive.writestr(other, data)
                    elif replacement is not None:
                        archive.writestr(other, replacement)
            with pytest.raises(ModelError, match=r"bad\.npz"):
                load_artefact(bad)


def assert_loads_or_faults(path: Path) -> None:
    try:
        artefact = load_artefact(path)
    except (ModelError, StreamError):
        return
    assert artefact.arena_bytes <= 1 << 28
    assert all(0 <= i < len(artefact.tensors) for i in (*artefact.inputs, *artefact.outputs))


@FUZZ
@given(st.data())
@pytest.mark.parametrize("form", ["COP1", "raw", "mixed separate"])
def test_mutated_files(
    files: dict[str, Path], form: str, tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / f"mutated{files[form].suffix}"
    path.write_bytes(mutated(files[form].read_bytes(), data))
    assert_loads_or_faults(path)


@FUZZ
@given(st.data())
def test_mutated_arrays_of_a_raw_file(
    files: dict[str, Path], tmp_path: Path, data: st.DataObject
) -> None:
    # Sums of the archive's own would stop most damage before anything here has read it.
    with zipfile.ZipFile(files["raw"]) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = data.draw(st.sampled_from(sorted(members)))
    members[chosen] = mutated(members[chosen], data)
    path = tmp_path / "mutated.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert_loads_or_faults(path)


def mutated(original: bytes, data: st.DataObject) -> bytes:
    content = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 4))
        if data.draw(st.booleans()):
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        else:
            extreme = data.draw(st.sampled_from([0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]))
            content[at : at + 4] = struct.pack("<I", extreme)
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    return bytes(content)


@FUZZ
@given(st.data())
@pytest.mark.parametrize("form", ["COP1", "COP2"])
def test_mutated_driver_actions(files: dict[str, Path], form: str, data: st.DataObject) -> None:
    content = payload_of(files[form])
    index = data.draw(st.integers(0, 20))
    content = with_word(content, index, data.draw(st.integers(0, 0xFFFF_FFFF)))
    try:
        payload = parse_payload(content)
    except StreamError:
        return
    assert payload.first_word + len(payload.commands) <= len(content) // 4
    assert payload.macs in (32, 64, 128, 256)
