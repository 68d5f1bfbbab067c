"""The cycle model on networks it has never seen: published architectures with random weights.

Others have published FVP figures of networks that this project does not carry. Where the
architecture is in the literature, the network can be built again; its weights cannot, but cycles
depend on them only through the size of their encoding. So: the same layers, Gaussian weights
(pruned where the original is), quantised and compiled with the options of the published row, and
then every figure beside the published one. Nothing in the simulator or the cycle model was decided
by these rows.

    python benchmarks/reconstructions.py                     # all networks, the installed Vela
    python benchmarks/reconstructions.py --vela v5/bin/vela  # the compiler of the published rows

The published rows are of Vela 5.0.0, so the second form compares like with like:
`python -m venv v5 && v5/bin/pip install ethos-u-vela==5.0.0`. Takes some minutes.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.cell import Accelerator, MemoryMode  # noqa: E402
from bench.published import PublishedRow, published_rows  # noqa: E402
from models.quantise import quantise  # noqa: E402
from models.runtime import reset, tf  # noqa: E402
from models.spec import QuantiseSpec  # noqa: E402
from targets.simulator.simulator import Simulator  # noqa: E402
from targets.simulator.timing import estimate, named_profile  # noqa: E402
from targets.simulator.timing.assumptions import DECIDED, Assumptions  # noqa: E402
from targets.simulator.timing.work import network_work  # noqa: E402

_SYSTEM = "Ethos_U55_High_End_Embedded"
_SEED = 1
_TITLES = (
    "network",
    "MACs",
    "published cycles",
    "cycles, `sim`",
    "with `dma_hold` 0",
    "cycles, Vela",
    "AXI0 read",
    "AXI0 write",
    "AXI1 read",
)


def mobilenet_v2() -> Any:
    """MobileNetV2 1.0 224 (Sandler et al., arXiv:1801.04381), 1001 classes as in Arm's ML zoo."""
    return tf.keras.applications.MobileNetV2(weights=None, input_shape=(224, 224, 3), classes=1001)


def wav2letter() -> Any:
    """Wav2letter (Collobert et al., arXiv:1609.03193) in the shape of Arm's ML zoo.

    296 frames of 39 features; one-dimensional convolutions written as two-dimensional ones.
    """
    layers = tf.keras.layers
    shape = (250, 48, 2), *[(250, 7, 1)] * 7, (2000, 32, 1), (2000, 1, 1)
    frames = x = tf.keras.Input((1, 296, 39))
    for filters, width, stride in shape:
        x = layers.Conv2D(filters, (1, width), strides=(1, stride), padding="same")(x)
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Conv2D(29, 1)(x)
    return tf.keras.Model(frames, layers.Softmax()(x))


@dataclass(frozen=True)
class Network:
    """A network to build again."""

    #: Its name in the published rows.
    published: str
    build: Callable[[], Any]
    #: Share of zero weights in every kernel.
    sparsity: float


NETWORKS = (
    Network("mobilenet_v2_1.0_224_INT8", mobilenet_v2, 0.0),
    # Arm's card says pruned and not by how much; half brings the encoding to 1 % of its size.
    Network("wav2letter_pruned_int8", wav2letter, 0.5),
)


def reconstruct(network: Network) -> bytes:
    """The quantised `.tflite` of `network` with random weights."""
    reset(_SEED)
    random = np.random.default_rng(_SEED)
    model = network.build()
    for layer in model.layers:
        weights = layer.get_weights()
        if not weights or isinstance(layer, tf.keras.layers.BatchNormalization):
            continue
        kernel = random.normal(size=weights[0].shape)
        kernel[np.abs(kernel) < np.quantile(np.abs(kernel), network.sparsity)] = 0
        weights[0] = kernel / np.sqrt(np.prod(kernel.shape[:-1]))
        layer.set_weights(weights)
    images = random.normal(size=(4, *model.input_shape[1:])).astype(np.float32)
    return quantise(model, QuantiseSpec(calibration_images=len(images)), images)


def compare(row: PublishedRow, model: Path, vela: str) -> str:
    """Compile `model` as the published row was and set the figures side by side."""
    directory = model.parent / str(int(row.macs))
    command = [
        *(vela, str(model), "--output-dir", str(directory)),
        *("--accelerator-config", row.macs.vela_name, "--memory-mode", row.memory_mode),
        *("--system-config", _SYSTEM, "--config", "Arm/vela.ini"),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    summary = directory / f"{model.stem}_summary_{_SYSTEM}.csv"
    with summary.open(encoding="utf-8") as file:
        vela_cycles = float(next(csv.DictReader(file))["cycles_total"])
    simulator = Simulator(directory / f"{model.stem}_vela.tflite", Accelerator(row.macs))
    beats = simulator.traffic.counters

    def cycles(assumptions: Assumptions) -> int:
        work = network_work(simulator.traffic, int(row.macs), assumptions)
        mode = MemoryMode(row.memory_mode)
        return estimate(work, mode, named_profile("u55_high_end")).npu_active

    figures = (
        (cycles(DECIDED), row.npu_active_cycles),
        (cycles(replace(DECIDED, dma_hold=0.0)), row.npu_active_cycles),
        (vela_cycles, row.npu_active_cycles),
        (beats["AXI0_RD_DATA_BEAT_RECEIVED"], row.axi0_rd_beats),
        (beats["AXI0_WR_DATA_BEAT_WRITTEN"], row.axi0_wr_beats),
        (beats["AXI1_RD_DATA_BEAT_RECEIVED"], row.axi1_rd_beats),
    )
    cells = [f"{ours / theirs - 1:+.1%}" if theirs else "-" for ours, theirs in figures]
    return f"| {row.model} | {int(row.macs)} | {row.npu_active_cycles:,} | {' | '.join(cells)} |"


def main() -> None:
    """Print a Markdown table: differences of our estimate and counts from the published ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    installed = str(Path(sys.executable).parent / "vela")
    parser.add_argument("--vela", default=installed, help="the compiler; default: the installed")
    vela = parser.parse_args().vela
    print("| " + " | ".join(_TITLES) + " |")
    print("|" + " --- |" * len(_TITLES))
    with tempfile.TemporaryDirectory() as scratch:
        for network in NETWORKS:
            model = Path(scratch) / f"{network.published}.tflite"
            model.write_bytes(reconstruct(network))
            for row in published_rows():
                if row.model == network.published and row.measured_on.startswith("FVP Corstone"):
                    print(compare(row, model, vela), flush=True)


if __name__ == "__main__":
    main()
