"""What is mutated: small models through the real Vela, one for each part of the simulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.compiler import VelaOptions, compile_model
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from tests.operators.network import Network, Value
from tests.operators.pointwise import (
    binary,
    constant_like,
    leaky_relu,
    requantise,
    table,
    unary,
)
from tests.operators.recurrent import fused_lstm
from tests.operators.reducing import mean, pool
from tests.operators.shaping import concatenate, resize, slice_
from tests.operators.toolchain import compile_in_process
from tests.operators.weighted import conv2d, depthwise, fully_connected, transpose_conv
from tests.support.models.vela_files import run_vela, small_mlp

__all__ = ["Seed", "build_seeds", "load_seeds", "quantised_models", "zoo_seeds"]


@dataclass(frozen=True)
class Seed:
    """An intact compiled model."""

    name: str
    #: `.tflite` or `.npz`: the reader goes by it.
    suffix: str
    data: bytes


def build_seeds(directory: Path) -> tuple[Seed, ...]:
    """Compile all seeds (a few seconds) and keep them in `directory` for `load_seeds`."""
    seeds = [
        Seed(name, ".tflite", compile_in_process(model(), options))
        for name, model, options in _recipes()
    ]
    for name, model, options in (
        ("raw", small_mlp(), ("--output-format", "raw")),
        ("separate", small_mlp(), ("--cop-format", "COP2", "--separate-io-regions")),
    ):
        path = run_vela(model, directory / name, *options)
        seeds.append(Seed(name, path.suffix, path.read_bytes()))
    _keep(seeds, directory)
    return tuple(seeds)


def zoo_seeds(zoo: Path, directory: Path) -> tuple[Seed, ...]:
    """The real models of `zoo`, compiled, kept in `directory` as well."""
    options = VelaOptions(
        accelerator=Accelerator.U55_128, memory_mode=MemoryMode.SHARED_SRAM, optimise="Performance"
    )
    seeds = []
    for path in sorted(zoo.glob("*.tflite")):
        output = directory / f"vela_{path.stem}"
        compiled = compile_model(path, options, output).path(output)
        seeds.append(Seed(path.stem, ".tflite", compiled.read_bytes()))
    _keep(seeds, directory)
    return tuple(seeds)


def load_seeds(directory: Path) -> tuple[Seed, ...]:
    """What was kept in `directory`, in the order of the names."""
    return tuple(
        Seed(path.stem, path.suffix, path.read_bytes())
        for path in sorted((directory / "seeds").iterdir())
    )


def quantised_models() -> dict[str, bytes]:
    """Quantised models before Vela, by name."""
    return {name: model() for name, model, _ in _recipes()}


def _keep(seeds: Sequence[Seed], directory: Path) -> None:
    kept = directory / "seeds"
    kept.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (kept / f"{seed.name}{seed.suffix}").write_bytes(seed.data)


def _recipes() -> list[tuple[str, Callable[[], bytes], VelaOptions]]:
    """Every accelerator occurs, and both memory modes."""
    fast = "Performance"
    u32, u64, u128, u256 = sorted(Accelerator, key=int)
    shared, only = MemoryMode.SHARED_SRAM, MemoryMode.SRAM_ONLY

    def options(macs: Accelerator, mode: MemoryMode) -> VelaOptions:
        return VelaOptions(accelerator=macs, memory_mode=mode, optimise=fast)

    return [
        ("convolutions", lambda: _network(_convolutions), options(u128, shared)),
        ("pools", lambda: _network(_pools), options(u64, shared)),
        ("arithmetic", lambda: _network(_arithmetic), options(u256, only)),
        ("tables", lambda: _network(_tables), options(u32, shared)),
        ("wide", lambda: _network(_wide), options(u128, only)),
        ("shaping", lambda: _network(_shaping), options(u256, shared)),
        ("recurrent", lambda: _network(_recurrent), options(u64, shared)),
        ("mixed", lambda: _network(_mixed), options(u128, shared)),
    ]


def _network(build: Callable[[Network], Sequence[Value]]) -> bytes:
    network = Network(5)
    return network.serialise(build(network))


def _convolutions(network: Network) -> list[Value]:
    value = network.input((1, 9, 8, 3))
    value = conv2d(network, value, 20, (3, 3), stride=(2, 2), padding="SAME", activation="RELU")
    value = depthwise(network, value, 1, (3, 3), padding="SAME")
    value = conv2d(network, value, 5, (2, 2), dilation=(2, 2), padding="VALID")
    return [fully_connected(network, value, 7)]


def _pools(network: Network) -> list[Value]:
    value = network.input((1, 8, 7, 18))
    averaged = pool(network, value, "AVERAGE", (3, 3), stride=(1, 1), padding="SAME")
    return [
        pool(network, averaged, "MAX", (2, 2), padding="SAME"),
        mean(network, averaged, (1, 2)),
    ]


def _arithmetic(network: Network) -> list[Value]:
    first, second = network.input((1, 5, 4, 6)), network.input((1, 1, 4, 1))
    total = binary(network, "ADD", first, second)
    product = binary(network, "MUL", total, constant_like(network, total, ()))
    limit = constant_like(network, product, (), same_scale=True)
    least = binary(network, "MINIMUM", product, limit)
    return [least, unary(network, binary(network, "SUB", first, product), "ABS")]


def _tables(network: Network) -> list[Value]:
    value = network.input((1, 3, 4, 5))
    return [table(network, leaky_relu(network, value, 0.2), "LOGISTIC")]


def _wide(network: Network) -> list[Value]:
    value = network.input((1, 6, 5, 4), "int16")
    value = conv2d(network, value, 9, (3, 3), padding="SAME")
    value = table(network, value, "TANH")
    assert value.quantisation is not None
    return [requantise(network, binary(network, "ADD", value, value), "int16", value.quantisation)]


def _shaping(network: Network) -> list[Value]:
    value = network.input((1, 4, 5, 17))
    other = resize(network, value, (8, 10), bilinear=False, half_pixel=False)
    other = slice_(network, other, (0, 1, 2, 0), (1, 4, 5, 17))
    joined = concatenate(network, [value, other], 3)
    return [transpose_conv(network, joined, 3, (3, 3), stride=(2, 2))]


def _mixed(network: Network) -> list[Value]:
    """Vela leaves a resize by 3 to the CPU, between two runs on the NPU."""
    value = conv2d(network, network.input((1, 3, 4, 5)), 6, (2, 2), padding="SAME")
    value = resize(network, value, (9, 12), bilinear=False, half_pixel=False)
    return [conv2d(network, value, 4, (3, 3), stride=(2, 2), padding="SAME")]


def _recurrent(network: Network) -> list[Value]:
    return [fused_lstm(network, network.input((1, 1, 4)), 3)]
