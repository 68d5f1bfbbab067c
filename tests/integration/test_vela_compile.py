"""Vela really run: what it writes is read back, its failures are told, nothing is left behind."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from bench.compiler import CompiledModel, Placement, VelaOptions, compile_model
from bench.core.errors import CompilerError, ModelError
from bench.core.processes import Bounds
from bench.core.text import one_line
from bench.tflite.model_file import inspect
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.support.models.tflite_factory import (
    Op,
    Tensor,
    fully_connected,
    mlp,
    model_bytes,
    single_operator,
)
from tests.support.models.vela_files import mixed_graph

OPTIONS = VelaOptions(accelerator=Accelerator.U55_128, memory_mode=MemoryMode.SHARED_SRAM)


def gaussian(outputs: int, inputs: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(0, 28, (outputs, inputs))
    return np.clip(np.round(values), -127, 127).astype(np.int8)


@pytest.fixture(scope="module")
def mnist_like(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network of Arm's pruning article, 784-128-64-10 with a softmax, weights random."""
    path = tmp_path_factory.mktemp("model") / "mnist like.tflite"
    layers = [gaussian(128, 784), gaussian(64, 128, 1), gaussian(10, 64, 2)]
    path.write_bytes(mlp(layers, softmax=True))
    return path


@pytest.fixture(scope="module")
def compiled(
    mnist_like: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CompiledModel, Path]:
    directory = tmp_path_factory.mktemp("compiled") / "new"
    return compile_model(mnist_like, OPTIONS, directory), directory


def test_the_report_agrees_with_the_network(compiled: tuple[CompiledModel, Path]) -> None:
    report = compiled[0].report
    weights = 784 * 128 + 128 * 64 + 64 * 10
    assert report.original_weights_bytes == weights
    # 10 MACs each for the maximum and the sum of the softmax.
    assert report.macs == weights + 20
    assert report.cpu_operators == 0
    assert report.npu_operators == sum(not layer.fused for layer in report.layers)
    assert report.core_clock_hz == 500e6


def test_the_totals_are_the_sums_of_the_layers(compiled: tuple[CompiledModel, Path]) -> None:
    report = compiled[0].report
    assert sum(layer.op_cycles for layer in report.layers) == report.cycles_total
    assert sum(layer.npu_cycles for layer in report.layers) == report.cycles_npu
    assert sum(layer.sram_cycles for layer in report.layers) == report.sram.access_cycles
    flash = report.off_chip_flash
    assert sum(layer.off_chip_flash_cycles for layer in report.layers) == flash.access_cycles
    assert sum(layer.macs for layer in report.layers) == report.macs


def test_the_flash_holds_weights_scales_and_tables(compiled: tuple[CompiledModel, Path]) -> None:
    report = compiled[0].report
    # 10 bytes of scale and bias a channel, and the 256 words of the softmax's table.
    least = report.encoded_weights_bytes + 10 * (128 + 64 + 10) + 1024
    assert least <= report.off_chip_flash.used_bytes < least + 1024
    # A dense layer's weights are read once.
    assert report.off_chip_flash.weight_read_bytes == report.encoded_weights_bytes


def test_the_device_model_is_the_whole_file(compiled: tuple[CompiledModel, Path]) -> None:
    model, directory = compiled
    assert model.device_model_bytes == model.path(directory).stat().st_size
    # The command stream and the flatbuffer stand beside what is read as flash.
    assert model.device_model_bytes > model.report.off_chip_flash.used_bytes + 1024


def test_the_artefact_is_what_it_says(compiled: tuple[CompiledModel, Path]) -> None:
    model, directory = compiled
    path = model.path(directory)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == model.sha256
    assert inspect(path).is_vela_output
    assert {entry.name for entry in directory.iterdir()} == {
        "mnist like_vela.tflite",
        "mnist like_vela.log",
        "mnist like_per-layer.csv",
        "mnist like_debug.xml",
        "mnist like_summary_Ethos_U55_High_End_Embedded.csv",
    }


def test_the_debug_database_changes_nothing_and_names_no_machine(
    compiled: tuple[CompiledModel, Path], mnist_like: Path, tmp_path: Path
) -> None:
    _, directory = compiled
    words = list(OPTIONS.arguments(str(mnist_like), str(tmp_path)))
    words.remove("--enable-debug-db")
    subprocess.run([sys.executable, "-m", "ethosu.vela", *words], check=True, capture_output=True)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (directory / path.name).read_bytes()
    database = (directory / "mnist like_debug.xml").read_text(encoding="utf-8")
    assert '<debug source="mnist like">' in database
    assert str(directory) not in database


def test_the_record_names_no_machine_path(
    compiled: tuple[CompiledModel, Path], mnist_like: Path
) -> None:
    text = compiled[0].model_dump_json()
    assert CompiledModel.model_validate_json(text) == compiled[0]
    for path in (str(mnist_like.parent), str(compiled[1]), sys.prefix):
        assert path not in text


def test_another_directory_and_working_directory_change_nothing(
    compiled: tuple[CompiledModel, Path],
    mnist_like: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # `python -m` would import these instead of Vela's own modules, were they found first.
    for shadow in ("csv.py", "numpy.py"):
        (tmp_path / shadow).write_text("raise SystemExit('shadowed')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    again = compile_model(mnist_like, OPTIONS, Path("relative/out"))
    assert again == compiled[0]
    assert again.path(tmp_path / "relative" / "out").is_file()


def test_options_reach_the_compiler(
    compiled: tuple[CompiledModel, Path], mnist_like: Path, tmp_path: Path
) -> None:
    base = compiled[0].report
    small = OPTIONS.model_copy(
        update={"accelerator": Accelerator.U55_32, "system_config": "Ethos_U55_Deep_Embedded"}
    )
    report = compile_model(mnist_like, small, tmp_path).report
    assert report.accelerator_configuration == "Ethos_U55_32"
    assert report.core_clock_hz == 200e6
    assert report.cycles_npu > base.cycles_npu
    sram = OPTIONS.model_copy(update={"memory_mode": MemoryMode.SRAM_ONLY})
    report = compile_model(mnist_like, sram, tmp_path).report
    assert report.off_chip_flash.used_bytes == 0
    assert report.on_chip_flash.used_bytes == base.off_chip_flash.used_bytes
    assert report.sram.weight_read_bytes == base.off_chip_flash.weight_read_bytes


def test_a_custom_configuration_reaches_the_scheduler(
    compiled: tuple[CompiledModel, Path], mnist_like: Path, tmp_path: Path
) -> None:
    ini = tmp_path / "board.ini"
    ini.write_text(
        "[System_Config.Ethos_U55_Base]\ncore_clock=500e6\naxi0_port=Sram\n"
        "axi1_port=OffChipFlash\nSram_clock_scale=1.0\nOffChipFlash_clock_scale=0.125\n"
        "[System_Config.Ethos_U55_Fast_Flash]\ninherit=System_Config.Ethos_U55_Base\n"
        "OffChipFlash_clock_scale=0.5\n"
        "[Memory_Mode.Shared_Sram]\nconst_mem_area=Axi1\narena_mem_area=Axi0\n"
        "cache_mem_area=Axi0\n",
        encoding="utf-8",
    )
    options = OPTIONS.model_copy(
        update={"system_config": "Ethos_U55_Fast_Flash", "config_file": ini}
    )
    model = compile_model(mnist_like, options, tmp_path / "out")
    base = compiled[0].report.off_chip_flash
    fast = model.report.off_chip_flash
    # 8 bytes a cycle times the clock scale. regor computes the cycles, Vela's Python part the
    # bandwidth: both must have read the file.
    assert base.access_cycles == base.total_bytes / 1
    assert fast.access_cycles == fast.total_bytes / 4
    assert fast.bandwidth_bytes_per_s == base.bandwidth_bytes_per_s * 4
    assert model.config_sha256 == hashlib.sha256(ini.read_bytes()).hexdigest()
    assert str(tmp_path) not in model.model_dump_json()


@pytest.mark.parametrize("name", ['o,"ut\nnext line', "ünï\u2028☃", "-rf", ""])
def test_hostile_tensor_names_come_back(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Vela writes in the locale's encoding; the C locale without coercion cannot spell these.
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    monkeypatch.delenv("PYTHONUTF8", raising=False)
    path = tmp_path / "-m,ödel.v2.tflite"
    path.write_bytes(fully_connected(gaussian(4, 8), output_name=name))
    report = compile_model(path, OPTIONS, tmp_path).report
    assert [layer.name for layer in report.layers] == [one_line(name)]
    assert report.network == "-m,ödel.v2"


def test_operators_left_to_the_cpu_are_visible(tmp_path: Path) -> None:
    weights, bias = gaussian(8, 8), np.zeros(8, np.int32)
    tensors = [
        Tensor("in", (1, 8), scale=0.5),
        Tensor("w", (8, 8), scale=0.1, data=weights),
        Tensor("b", (8,), "int32", 0.05, data=bias),
        Tensor("mid", (1, 8), scale=1.0),
        Tensor("out", (1, 8), scale=1.0),
    ]
    operators = [
        Op("FULLY_CONNECTED", (0, 1, 2), (3,), version=4),
        Op("CUSTOM", (3,), (4,), custom="my_operator"),
    ]
    path = tmp_path / "mixed.tflite"
    path.write_bytes(model_bytes(tensors, operators, [0], [4]))
    report = compile_model(path, OPTIONS, tmp_path).report
    assert (report.npu_operators, report.cpu_operators) == (1, 1)
    assert [layer.target for layer in report.layers] == [Placement.NPU, Placement.CPU]


def test_a_float_model_compiles_to_nothing_on_the_npu(tmp_path: Path) -> None:
    path = tmp_path / "float.tflite"
    tensors = [Tensor("x", (1, 8), "float32")], [Tensor("y", (1, 8), "float32")]
    path.write_bytes(single_operator(Op("TANH", (0,), (1,)), *tensors))
    report = compile_model(path, OPTIONS, tmp_path).report
    assert (report.npu_operators, report.cpu_operators, report.cycles_total) == (0, 1, 0)


def test_the_older_core_reports_each_run_of_the_npu_and_the_cpu_not_at_all(
    tmp_path: Path,
) -> None:
    older = OPTIONS.model_copy(update={"extra": ("--debug-force-legacy-core",)})
    (tmp_path / "mixed.tflite").write_bytes(mixed_graph())
    made = compile_model(tmp_path / "mixed.tflite", older, tmp_path / "out")
    # Two runs of the NPU, with an operator of the CPU between them.
    assert (made.report.npu_operators, made.report.cpu_operators) == (6, None)
    assert {layer.target for layer in made.report.layers} == {Placement.NPU}
    total = sum(layer.op_cycles for layer in made.report.layers)
    assert abs(total - made.report.cycles_total) <= 6 < total
    stored = b"".join(path.read_bytes() for path in sorted((tmp_path / "out").glob("*.[cx]*")))
    assert str(tmp_path).encode() not in stored, "a place on this machine"
    tensors = [Tensor("x", (1, 8), "float32")], [Tensor("y", (1, 8), "float32")]
    (tmp_path / "cpu.tflite").write_bytes(single_operator(Op("TANH", (0,), (1,)), *tensors))
    report = compile_model(tmp_path / "cpu.tflite", older, tmp_path / "out").report
    assert (report.npu_operators, report.layers, report.cycles_total) == (0, (), 0)


def test_a_rejected_file_gives_velas_words_and_the_command(tmp_path: Path) -> None:
    path = tmp_path / "not a model.tflite"
    path.write_text("hello, this is no model at all", encoding="utf-8")
    with pytest.raises(CompilerError) as caught:
        compile_model(path, OPTIONS, tmp_path / "out")
    text = str(caught.value)
    assert "No networks defined" in text
    assert f"'{path}'" in text
    assert "--accelerator-config ethos-u55-128" in text
    assert list((tmp_path / "out").iterdir()) == []


def test_a_crash_is_an_error_and_an_earlier_result_survives_it(
    compiled: tuple[CompiledModel, Path], mnist_like: Path, tmp_path: Path
) -> None:
    path = tmp_path / "net.tflite"
    content = mnist_like.read_bytes()
    path.write_bytes(content)
    compile_model(path, OPTIONS, tmp_path)
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir() if entry != path}
    # Vela runs into a segmentation fault on a truncated model.
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CompilerError, match=r"crashed|failed with exit code"):
        compile_model(path, OPTIONS, tmp_path)
    after = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir() if entry != path}
    assert after == before


def test_a_missing_model_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone\.tflite"):
        compile_model(tmp_path / "gone.tflite", OPTIONS, tmp_path)


def running_compiles(marker: str) -> list[int]:
    """Process ids whose command line holds `marker`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if marker.encode() in words and b"ethosu.vela" in words:
                found.append(int(entry.name))
    return found


def test_a_compile_that_takes_too_long_is_stopped(mnist_like: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(CompilerError, match=r"did not finish within 0\.05 s"):
        compile_model(mnist_like, OPTIONS, tmp_path, bounds=Bounds(0.05))
    assert time.monotonic() - started < 30
    assert running_compiles(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_no_compile_and_no_file_behind(mnist_like: Path, tmp_path: Path) -> None:
    # Stopping Vela's process while it runs makes sure that Ctrl-C meets it alive.
    script = (
        "import sys; from pathlib import Path; from bench.compiler import *\n"
        "options = VelaOptions(accelerator=128, memory_mode='Shared_Sram')\n"
        "compile_model(Path(sys.argv[1]), options, Path(sys.argv[2]))\n"
    )
    bench = subprocess.Popen(
        [sys.executable, "-c", script, str(mnist_like), str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
    )
    watchdog = threading.Timer(30, bench.kill)
    watchdog.start()
    try:
        while not (compiles := running_compiles(str(tmp_path / ".vela-"))):
            assert bench.poll() is None, "the compile ended before it was seen"
            time.sleep(0.001)
        os.kill(compiles[0], signal.SIGSTOP)
        bench.send_signal(signal.SIGINT)
        _, words = bench.communicate()
    finally:
        watchdog.cancel()
        left = running_compiles(str(tmp_path / ".vela-"))
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert left == []
    assert bench.returncode != 0
    assert b"KeyboardInterrupt" in words
    assert list(tmp_path.iterdir()) == []


def zoo() -> list[Path]:
    directory = os.environ.get("BENCH_MODEL_ZOO")
    return sorted(Path(directory).glob("*.tflite")) if directory else []


@pytest.mark.skipif(
    not zoo(),
    reason="BENCH_MODEL_ZOO is not set to a directory of .tflite models: real models "
    "are NOT compiled",
)
@pytest.mark.parametrize("path", zoo(), ids=lambda path: path.stem)
def test_real_models_compile_wholly_to_the_npu(path: Path, tmp_path: Path) -> None:
    model = compile_model(path, OPTIONS, tmp_path)
    report = model.report
    assert report.cpu_operators == 0
    assert report.npu_operators == sum(not layer.fused for layer in report.layers)
    assert sum(layer.op_cycles for layer in report.layers) == report.cycles_total
    assert 0 < report.encoded_weights_bytes < report.off_chip_flash.used_bytes
    assert report.off_chip_flash.used_bytes < model.device_model_bytes
