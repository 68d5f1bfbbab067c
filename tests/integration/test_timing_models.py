"""The cycle model on real networks: physics, and what an estimate costs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.compiler import VelaOptions, VelaReport, compile_model
from bench.tflite.reader import read_graph
from targets.artefact.layers import NamedOperation
from targets.artefact.stream.operations import Conv, Depthwise, Stop
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.sim import names_of
from targets.simulator.simulator import Simulator
from targets.simulator.timing import PROFILES, Bound, PortTiming, TimingProfile
from targets.simulator.timing.trace import chrome_trace

MODELS = (
    "ad01_int8",
    "kws_micronet_m",
    "kws_ref_model",
    "pretrainedResnet_quant",
    "vww_96_int8",
)
MODE = MemoryMode.SHARED_SRAM
HIGH_END = PROFILES["u55_high_end"]
#: Block effects: more multipliers come with other block shapes, with which Vela schedules other
#: transfers; so much of the cycles may be lost by it.
BLOCK_EFFECTS = 0.02


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    zoo = os.environ.get("BENCH_MODEL_ZOO")
    if not zoo:
        pytest.skip(
            "BENCH_MODEL_ZOO is not set: CYCLES OF REAL NETWORKS ARE NOT LOOKED AT. Set it to a "
            f"directory with {', '.join(MODELS)} (.tflite)"
        )
    return Compiled(Path(zoo), tmp_path_factory.mktemp("timing"))


class Compiled:
    """Networks of the zoo, compiled when first asked for."""

    def __init__(self, zoo: Path, directory: Path) -> None:
        self.zoo = zoo
        self._directory = directory
        self._make = cache(self._compile)

    def __call__(self, model: str, macs: Accelerator) -> tuple[Simulator, VelaReport]:
        return self._make(model, macs)

    def names(self, model: str, macs: Accelerator) -> Mapping[int, NamedOperation]:
        """The layers of the operations of a network that has been compiled."""
        simulator, _ = self._make(model, macs)
        compiled = self._directory / f"{model}-{macs.slug}" / f"{model}_vela.tflite"
        return names_of(simulator.artefact, compiled, self.zoo / f"{model}.tflite")

    def _compile(self, model: str, macs: Accelerator) -> tuple[Simulator, VelaReport]:
        directory = self._directory / f"{model}-{macs.slug}"
        options = VelaOptions(accelerator=macs, memory_mode=MODE)
        made = compile_model(self.zoo / f"{model}.tflite", options, directory)
        return Simulator(made.path(directory)), made.report


@pytest.mark.parametrize("name", sorted(PROFILES))
@pytest.mark.parametrize("model", MODELS)
def test_more_macs_are_never_slower_than_by_block_effects(
    compiled: Compiled, model: str, name: str
) -> None:
    cycles = [
        compiled(model, macs)[0].timing(MODE, PROFILES[name]).npu_active for macs in Accelerator
    ]
    for fewer, more in pairwise(cycles):
        assert more <= fewer * (1 + BLOCK_EFFECTS), cycles


@st.composite
def flashes(draw: st.DrawFn) -> tuple[PortTiming, PortTiming]:
    """A flash, and one that is slower in one respect or several."""
    fast = PortTiming(
        maxr=draw(st.integers(1, 16)),
        rlatency=draw(st.integers(0, 200)),
        pulse_on=320,
        pulse_off=80,
        bwcap=draw(st.integers(8, 400)),
    )
    slow = PortTiming(
        maxr=draw(st.integers(1, fast.maxr)),
        rlatency=draw(st.integers(fast.rlatency, 400)),
        pulse_on=320,
        pulse_off=80,
        bwcap=draw(st.integers(8, fast.bwcap)),
    )
    return fast, slow


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pair=flashes(), model=st.sampled_from(MODELS), macs=st.sampled_from(list(Accelerator)))
def test_a_slower_flash_is_never_faster(
    compiled: Compiled, pair: tuple[PortTiming, PortTiming], model: str, macs: Accelerator
) -> None:
    simulator, _ = compiled(model, macs)
    fast, slow = (
        simulator.timing(MODE, TimingProfile(sram=HIGH_END.sram, ext=flash)).npu_active
        for flash in pair
    )
    # Where within a period a transfer falls is chance: one comes out a period sooner at most.
    assert slow >= fast - 400


@pytest.mark.parametrize("model", MODELS)
def test_traffic_and_time_are_conserved(compiled: Compiled, model: str) -> None:
    simulator, _ = compiled(model, Accelerator.U55_256)
    timing = simulator.timing(MODE, HIGH_END)
    counters = simulator.traffic.counters
    for port, beats in enumerate(timing.beats):
        assert beats.read == counters[f"AXI{port}_RD_DATA_BEAT_RECEIVED"]
        assert beats.written == counters[f"AXI{port}_WR_DATA_BEAT_WRITTEN"]
    assert timing.npu_active == round(sum(row.total for row in timing.operations))
    assert timing.npu_active == pytest.approx(max(row.end for row in timing.operations), abs=1)


@pytest.mark.parametrize("model", ["ad01_int8", "pretrainedResnet_quant"])
def test_without_encoded_weights_no_layer_waits_for_flash(compiled: Compiled, model: str) -> None:
    simulator, _ = compiled(model, Accelerator.U55_128)
    operations = [row.operation for row in simulator.timing(MODE, HIGH_END).operations]
    weighted = {i: 0.0 for i, op in enumerate(operations) if isinstance(op, (Conv, Depthwise))}
    before, after = simulator.timing(MODE, HIGH_END), simulator.timing(MODE, HIGH_END, weighted)
    assert after.npu_active < before.npu_active
    bound = [row.bound_by for row in before.operations]
    assert Bound.FLASH in bound
    # Scales and biases remain; they decide only where there is hardly a weight to a channel.
    flash = sum(row.total for row in after.operations if row.bound_by is Bound.FLASH)
    assert flash < 0.05 * after.npu_active


@pytest.mark.parametrize("macs", list(Accelerator), ids=lambda macs: macs.slug)
@pytest.mark.parametrize("model", MODELS)
def test_every_operation_has_its_layer_and_every_layer_velas_cycles(
    compiled: Compiled, model: str, macs: Accelerator
) -> None:
    simulator, report = compiled(model, macs)
    names = compiled.names(model, macs)
    timing = simulator.timing(MODE, HIGH_END)
    assert {row.index for row in timing.operations} - set(names) == {
        row.index for row in timing.operations if isinstance(row.operation, Stop)
    }
    graph = read_graph(compiled.zoo / f"{model}.tflite")
    for name in names.values():
        assert name.layer.index is not None
        (result,) = graph.operators[name.layer.index].outputs
        assert name.layer.tensor == graph.tensors[result].name
    assert sum(name.vela_cycles or 0 for name in names.values()) == report.cycles_total
    # Each of Vela's layers that takes time is told once, in the order in which they run.
    told = [names[i].vela_cycles for i in sorted(names) if names[i].vela_cycles]
    assert told == [layer.op_cycles for layer in report.layers if layer.op_cycles]


@pytest.mark.parametrize("model", MODELS)
def test_traces_stay_within_the_inference(compiled: Compiled, model: str) -> None:
    timing = compiled(model, Accelerator.U55_64)[0].timing(MODE, HIGH_END)
    spans = [e for e in chrome_trace(timing)["traceEvents"] if e["ph"] == "X"]
    assert {span["pid"] for span in spans} == {1, 2}
    for span in spans:
        assert 0 <= span["ts"] <= span["ts"] + span["dur"] <= timing.npu_active + 1


@pytest.mark.parametrize("model", ["ad01_int8", "kws_micronet_m"])
def test_longer_bursts_are_fewer_and_move_as_much(compiled: Compiled, model: str) -> None:
    simulator, _ = compiled(model, Accelerator.U55_128)
    timings = []
    for burst in (64, 128, 256):
        port = {"burst": burst}
        profile = TimingProfile(
            sram=HIGH_END.sram.model_copy(update=port), ext=HIGH_END.ext.model_copy(update=port)
        )
        timings.append(simulator.timing(MODE, profile))
    assert timings[0].npu_active == simulator.timing(MODE, HIGH_END).npu_active
    for shorter, longer in pairwise(timings):
        for fewer, more in zip(longer.beats, shorter.beats, strict=True):
            assert (fewer.read, fewer.written) == (more.read, more.written)
            assert more.read_bursts / 2 <= fewer.read_bursts <= more.read_bursts
            assert more.written_bursts / 2 <= fewer.written_bursts <= more.written_bursts
        # Feature maps of a hundred bytes hardly fill one; weight streams do.
        assert longer.beats[1].read_bursts < 0.6 * shorter.beats[1].read_bursts
    # Behind the flash's cap of 50 beats four bursts of 128 bytes pass, 64 beats, where seven of 64
    # bytes make 56; and two of 256 bytes are 64 again.
    if model == "ad01_int8":
        assert timings[1].npu_active < 0.92 * timings[0].npu_active
        assert timings[2].npu_active == pytest.approx(timings[1].npu_active, rel=0.03)
