"""The cycle model on networks it has never seen: known architectures with random weights.

Others have published FVP figures of networks that this project does not contain. If the
architecture is known, the network can be rebuilt (`benchmarks.architectures`). Its weights cannot,
but cycles depend on them only through their encoded size. So the same layers get random weights,
are quantised and compiled with the options of the published row, and every figure is compared with
the published one.

    python -m benchmarks.reconstructions                     # all networks, the installed Vela
    python -m benchmarks.reconstructions --vela v5/bin/vela  # the compiler of the published rows
    python -m benchmarks.reconstructions --reference DIR     # and the artefacts of kws_micronet_m
    python -m benchmarks.reconstructions --network rnnoise_INT8

The published rows come from Vela 5.0.0, so the second form compares like with like:
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
from pathlib import Path

from bench.report.published import PublishedRow
from benchmarks.json_file import add_json_option, write_json
from benchmarks.markdown import header, line
from benchmarks.published_rows import MODE, MODEL, PROFILE, fvp_networks, fvp_rows
from targets.ethos_u55.accelerators import Accelerator
from targets.simulator.simulator import Simulator
from targets.simulator.timing import PortTiming, TimingProfile

SWEEPS = Path(__file__).with_name("adapter_sweeps.csv")
INSTALLED = str(Path(sys.executable).parent / "vela")
_SYSTEM = "Ethos_U55_High_End_Embedded"
_TITLES = ("network", "MACs", "published cycles", "cycles, `sim`", "cycles, Vela")
_BEATS = ("AXI0 read", "AXI0 write", "AXI1 read")
_SWEPT = ("network", "MACs", "SRAM cap", "flash cap", "flash latency", "published cycles", "`sim`")


@dataclass(frozen=True)
class Figures:
    """Cycles of NPU_ACTIVE, and beats. None where nothing is published."""

    npu_active: int | None
    axi0_read: int | None
    axi0_written: int | None
    axi1_read: int | None


@dataclass(frozen=True)
class Compiled:
    """A network, compiled for one accelerator."""

    simulator: Simulator
    vela_cycles: float

    def figures(self) -> Figures:
        """Behind the memories of `PROFILE`: cycles estimated, beats counted."""
        counters = self.simulator.traffic.counters
        return Figures(
            self.simulator.timing(MODE, PROFILE).npu_active,
            counters["AXI0_RD_DATA_BEAT_RECEIVED"],
            counters["AXI0_WR_DATA_BEAT_WRITTEN"],
            counters["AXI1_RD_DATA_BEAT_RECEIVED"],
        )


@dataclass(frozen=True)
class Compared:
    """A published row next to ours."""

    model: str
    macs: Accelerator
    published: Figures
    ours: Figures
    vela_cycles: float

    def __str__(self) -> str:
        ours, theirs = (list(vars(each).values()) for each in (self.ours, self.published))
        pairs = [(self.vela_cycles, theirs[0]), *zip(ours[1:], theirs[1:], strict=True)]
        errors = [_error(mine, published) for mine, published in [(ours[0], theirs[0]), *pairs]]
        return line((self.model, int(self.macs), f"{theirs[0]:,}", *errors))


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


@dataclass(frozen=True)
class Swept:
    """A published count with an adapter other than `u55_high_end`. Caps in beats per period."""

    model: str
    macs: Accelerator
    sram_bwcap: int
    ext_bwcap: int
    ext_rlatency: int
    npu_active: int

    @property
    def profile(self) -> TimingProfile:
        """`u55_high_end` with the changes."""

        def changed(port: PortTiming, **values: int) -> PortTiming:
            return port.model_copy(update=values)

        return TimingProfile(
            sram=changed(PROFILE.sram, bwcap=self.sram_bwcap),
            ext=changed(PROFILE.ext, bwcap=self.ext_bwcap, rlatency=self.ext_rlatency),
        )


def sweeps() -> tuple[Swept, ...]:
    """The contents of `adapter_sweeps.csv`."""
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


@dataclass(frozen=True)
class SweptBeside:
    """A row of the sweeps, and our estimate of it."""

    published: Swept
    ours: int

    def __str__(self) -> str:
        row = self.published
        caps = [cap or "none" for cap in (row.sram_bwcap, row.ext_bwcap)]
        error = _error(self.ours, row.npu_active)
        cells = (row.model, int(row.macs), *caps, row.ext_rlatency, f"{row.npu_active:,}", error)
        return line(cells)


def _error(ours: float, published: float | None) -> str:
    return f"{ours / published - 1:+.1%}" if published else "-"


def _compared(row: PublishedRow, ours: Compiled) -> Compared:
    published = Figures(
        row.npu_active_cycles, row.axi0_rd_beats, row.axi0_wr_beats, row.axi1_rd_beats
    )
    return Compared(row.model, row.macs, published, ours.figures(), ours.vela_cycles)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--vela", default=INSTALLED, help="the compiler; default: the installed one"
    )
    parser.add_argument("--reference", type=Path, help="directory of the published artefacts")
    # The artefacts of MODEL are published, so it need not be rebuilt.
    networks = [network for network in fvp_networks() if network != MODEL]
    parser.add_argument(
        "--network", action="append", choices=networks, help="only this one; may be repeated"
    )
    add_json_option(parser)
    options = parser.parse_args()
    options.network = options.network or networks
    return options


def main() -> None:
    """Print Markdown tables: differences of our estimates and counts from the published ones."""
    options = _options()
    simulators: dict[tuple[str, Accelerator], Simulator] = {}
    rows, swept = [], []
    print(header((*_TITLES, *_BEATS)))
    with tempfile.TemporaryDirectory() as scratch:
        for network in options.network:
            model = built(network, Path(scratch))
            for row in fvp_rows(network):
                ours = compiled(model, row.macs, options.vela)
                simulators[network, row.macs] = ours.simulator
                rows.append(_compared(row, ours))
                print(rows[-1], flush=True)
    if options.reference is not None:
        for row in fvp_rows(MODEL):
            artefact = options.reference / f"{MODEL}_{row.macs.slug}.tflite"
            simulators[MODEL, row.macs] = Simulator(artefact)
    print(f"\n{header(_SWEPT)}")
    for each in sweeps():
        simulator = simulators.get((each.model, each.macs))
        if simulator is None:
            why = "give --reference" if each.model == MODEL else "not among --network"
            print(f"{each.model}: left out, {why}")
            continue
        swept.append(SweptBeside(each, simulator.timing(MODE, each.profile).npu_active))
        print(swept[-1], flush=True)
    write_json(options.json, {"rows": rows, "sweeps": swept})


if __name__ == "__main__":
    main()
