"""The cycle model on networks it has never seen: known architectures with random weights.

Others have published FVP figures of networks that this project does not carry. Where the
architecture is known, the network can be built again (`benchmarks.architectures`); its weights
cannot, but cycles depend on them only through the size of their encoding. So: the same layers,
random weights, quantised and compiled with the options of the published row, and then every figure
beside the published one.

    python -m benchmarks.reconstructions                     # all networks, the installed Vela
    python -m benchmarks.reconstructions --vela v5/bin/vela  # the compiler of the published rows
    python -m benchmarks.reconstructions --reference DIR     # and the artefacts of kws_micronet_m

The published rows are of Vela 5.0.0, so the second form compares like with like:
`python -m venv v5 && v5/bin/pip install ethos-u-vela==5.0.0`. Takes a minute.

A second table has the same networks behind other timing adapters (`adapter_sweeps.csv`).
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from bench.report.published import PublishedRow
from benchmarks.markdown import header, line
from benchmarks.published_rows import MODE, MODEL, PROFILE, fvp_networks, fvp_rows
from targets.ethos_u55.accelerators import Accelerator
from targets.simulator.simulator import Simulator
from targets.simulator.timing import PortTiming, TimingProfile

__all__ = ["Compiled", "Swept", "built", "compiled", "sweeps"]

SWEEPS = Path(__file__).with_name("adapter_sweeps.csv")
INSTALLED = str(Path(sys.executable).parent / "vela")
_SYSTEM = "Ethos_U55_High_End_Embedded"
_TITLES = ("network", "MACs", "published cycles", "cycles, `sim`", "cycles, Vela")
_BEATS = ("AXI0 read", "AXI0 write", "AXI1 read")
_SWEPT = ("network", "MACs", "SRAM cap", "flash cap", "flash latency", "published cycles", "`sim`")


@dataclass(frozen=True)
class Compiled:
    """A network compiled for one accelerator."""

    simulator: Simulator
    vela_cycles: float

    def cycles(self, profile: TimingProfile = PROFILE) -> int:
        """NPU_ACTIVE behind the memories of `profile`. Estimated."""
        return self.simulator.timing(MODE, profile).npu_active

    @property
    def beats(self) -> tuple[int, int, int]:
        """AXI0 read and written, AXI1 read."""
        counters = self.simulator.traffic.counters
        return (
            counters["AXI0_RD_DATA_BEAT_RECEIVED"],
            counters["AXI0_WR_DATA_BEAT_WRITTEN"],
            counters["AXI1_RD_DATA_BEAT_RECEIVED"],
        )


def built(network: str, directory: Path) -> Path:
    """The quantised `.tflite` of a network, built in a process of its own.

    Raises `subprocess.CalledProcessError` if that fails.
    """
    model = directory / f"{network}.tflite"
    command = [sys.executable, "-m", "benchmarks.architectures", network, str(model)]
    root = Path(__file__).resolve().parent.parent
    subprocess.run(command, check=True, cwd=root, capture_output=True)
    return model


def compiled(model: Path, macs: Accelerator, vela: str = INSTALLED) -> Compiled:
    """`model` compiled with the options of the published rows.

    Raises `subprocess.CalledProcessError` if Vela fails.
    """
    directory = model.parent / f"{model.stem}_{int(macs)}"
    command = [
        *(vela, str(model), "--output-dir", str(directory)),
        *("--accelerator-config", macs.vela_name, "--memory-mode", MODE.value),
        *("--system-config", _SYSTEM, "--config", "Arm/vela.ini"),
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    summary = directory / f"{model.stem}_summary_{_SYSTEM}.csv"
    with summary.open(encoding="utf-8") as file:
        cycles = float(next(csv.DictReader(file))["cycles_total"])
    return Compiled(Simulator(directory / f"{model.stem}_vela.tflite", macs), cycles)


class Swept(NamedTuple):
    """A published count behind another adapter than `u55_high_end`. Caps in beats a period."""

    model: str
    macs: Accelerator
    sram_bwcap: int
    ext_bwcap: int
    ext_rlatency: int
    npu_active: int

    @property
    def profile(self) -> TimingProfile:
        """`u55_high_end` with what was changed."""

        def changed(port: PortTiming, **values: int) -> PortTiming:
            return port.model_copy(update=values)

        return TimingProfile(
            sram=changed(PROFILE.sram, bwcap=self.sram_bwcap),
            ext=changed(PROFILE.ext, bwcap=self.ext_bwcap, rlatency=self.ext_rlatency),
        )


@cache
def sweeps() -> tuple[Swept, ...]:
    """What `adapter_sweeps.csv` holds."""
    with SWEEPS.open(encoding="utf-8") as file:
        return tuple(
            Swept(
                row["model"],
                Accelerator(int(row["macs"])),
                int(row["sram_bwcap"]),
                int(row["ext_bwcap"]),
                int(row["ext_rlatency"]),
                int(row["npu_active_cycles"]),
            )
            for row in csv.DictReader(file)
        )


def _compared(row: PublishedRow, ours: Compiled) -> str:
    figures = (
        (ours.cycles(), row.npu_active_cycles),
        (ours.vela_cycles, row.npu_active_cycles),
        *zip(ours.beats, (row.axi0_rd_beats, row.axi0_wr_beats, row.axi1_rd_beats), strict=True),
    )
    errors = [f"{mine / theirs - 1:+.1%}" if theirs else "-" for mine, theirs in figures]
    return line((row.model, int(row.macs), f"{row.npu_active_cycles:,}", *errors))


def _swept(row: Swept, simulator: Simulator) -> str:
    caps = [cap or "none" for cap in (row.sram_bwcap, row.ext_bwcap)]
    error = f"{simulator.timing(MODE, row.profile).npu_active / row.npu_active - 1:+.1%}"
    return line((row.model, int(row.macs), *caps, row.ext_rlatency, f"{row.npu_active:,}", error))


def main() -> None:
    """Print Markdown tables: differences of our estimates and counts from the published ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vela", default=INSTALLED, help="the compiler; default: the installed")
    parser.add_argument("--reference", type=Path, help="directory of the published artefacts")
    arguments = parser.parse_args()
    simulators: dict[tuple[str, Accelerator], Simulator] = {}
    print(header((*_TITLES, *_BEATS)))
    with tempfile.TemporaryDirectory() as scratch:
        for network in fvp_networks():
            if network == MODEL:  # Not reconstructed: its artefacts are published.
                continue
            model = built(network, Path(scratch))
            for row in fvp_rows(network):
                ours = compiled(model, row.macs, arguments.vela)
                simulators[network, row.macs] = ours.simulator
                print(_compared(row, ours), flush=True)
    if arguments.reference is not None:
        for row in fvp_rows(MODEL):
            artefact = arguments.reference / f"{MODEL}_{row.macs.slug}.tflite"
            simulators[MODEL, row.macs] = Simulator(artefact)
    print(f"\n{header(_SWEPT)}")
    for each in sweeps():
        simulator = simulators.get((each.model, each.macs))
        missing = f"{each.model}: left out, give --reference"
        print(_swept(each, simulator) if simulator else missing, flush=True)


if __name__ == "__main__":
    main()
