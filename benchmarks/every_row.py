"""Every published row of an Ethos-U55 next to ours, in one table: FVP, FPGA, silicon, and logs.

`python -m benchmarks.every_row REFERENCE ZOO` (part of `make fidelity`) rewrites the tables of
`docs/published.md`, between its markers. REFERENCE is a directory with the four artefacts of
`kws_micronet_m` on which its FVP rows were measured, ZOO one with the model itself. The other
networks are rebuilt (`benchmarks.reconstructions`) and compiled by Vela 5.0.0, as the published
ones were; it is installed into a directory of its own. All of it takes a few minutes.

The exit status is 1 if a bound is broken: 2 % for exact copies, 3 % for rebuilt networks, 4 % for
other adapters, and for the rows in `RESISTING` what stands there; the greatest error below a third
of Vela's; without a network, the others choose what predicts it within one point of that.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.compiler import VelaInstallation, VelaOptions, compile_model, find_lock, install_vela
from bench.report.published import PublishedRow, published_rows
from benchmarks.every_row_tables import (
    CHOICES,
    LIKELY,
    EveryRow,
    Kind,
    broken_bounds,
    choices_without,
    row_table,
    without_table,
)
from benchmarks.fidelity import filled
from benchmarks.json_file import add_json_option, write_json
from benchmarks.published_rows import DRIVER, MODE, MODEL, PROFILE, STREAM_ON_AXI0, fc_rows
from benchmarks.reconstructions import Swept, built, sweeps
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.ports import PortMap
from targets.simulator.simulator import Simulator
from targets.simulator.timing import TimingProfile, estimate

PAGE = Path(__file__).resolve().parent.parent / "docs" / "published.md"
#: The compiler of the FVP rows.
VELA = "5.0.0"
_WORDS = {"FVP Corstone-300 11.22.35": "FVP", "MPS3 FPGA Corstone-300": "FPGA"}


class _Networks:
    """The compiled networks, each made once."""

    def __init__(self, reference: Path, zoo: Path, scratch: Path) -> None:
        self._reference, self._scratch = reference, scratch
        self._models = {MODEL: zoo / f"{MODEL}.tflite"}
        self._made: dict[tuple[str, Accelerator], tuple[Simulator, int]] = {}
        lock = find_lock(VELA, {})
        self._vela: VelaInstallation = install_vela(lock, scratch / "vela")

    def of(self, network: str, macs: Accelerator) -> tuple[Simulator, int]:
        """What runs, and the cycles that Vela itself estimates."""
        if (network, macs) not in self._made:
            model = self._models.get(network)
            if model is None:
                model = self._models[network] = built(network, self._scratch)
            directory = self._scratch / f"{network}_{int(macs)}"
            directory.mkdir()
            options = VelaOptions(accelerator=macs, memory_mode=MODE)
            made = compile_model(model, options, directory, vela=self._vela)
            published = self._reference / f"{MODEL}_{macs.slug}.tflite"
            path = published if network == MODEL else made.path(directory)
            self._made[network, macs] = Simulator(path, macs), made.report.cycles_total
        return self._made[network, macs]


def _cycles(simulator: Simulator, profile: TimingProfile) -> tuple[int, ...]:
    """Under each of `CHOICES`."""
    return tuple(
        sum(estimate(work.under(choice), MODE, profile).npu_active for work in simulator.work)
        for choice in CHOICES
    )


def _errors(row: PublishedRow, simulator: Simulator) -> tuple[float | None, ...]:
    """Of the beats read and written on AXI0, and read on AXI1."""
    counters = simulator.traffic.counters
    pairs = (
        (counters["AXI0_RD_DATA_BEAT_RECEIVED"], row.axi0_rd_beats),
        (counters["AXI0_WR_DATA_BEAT_WRITTEN"], row.axi0_wr_beats),
        (counters["AXI1_RD_DATA_BEAT_RECEIVED"], row.axi1_rd_beats),
    )
    return tuple(mine / theirs - 1 if theirs else None for mine, theirs in pairs)


def _kind(row: PublishedRow) -> Kind:
    if row.measured_on.startswith("Alif"):
        return Kind.SILICON
    if not row.measured_on.startswith("FVP Corstone-300 11"):
        return Kind.OTHER_VELA
    return Kind.EXACT if row.model == MODEL else Kind.REBUILT


def _counted(networks: _Networks) -> Iterator[EveryRow]:
    """The rows of networks that are compiled as they stand."""
    for row in published_rows():
        if row.npu_active_cycles is None or row.workload == "mnist_fc":
            continue
        simulator, vela = networks.of(row.model, row.macs)
        yield EveryRow(
            row.model,
            int(row.macs),
            _WORDS.get(row.measured_on, row.measured_on),
            f"Vela {row.vela or 'not stated'}",
            _kind(row),
            row.npu_active_cycles,
            _cycles(simulator, PROFILE),
            vela,
            _errors(row, simulator),
        )


def _sized(condition: str, ports: PortMap) -> Iterator[EveryRow]:
    """The rows of `mnist_fc`, at equal encoded size."""
    rows = [fc_rows(choice, ports) for choice in CHOICES]
    for mine in zip(*rows, strict=True):
        first = mine[0]
        beats = first.beats / first.published_beats - 1 if first.published_beats else None
        yield EveryRow(
            first.label.replace(", ", " "),
            128,
            "FPGA",
            condition,
            Kind.SIZED,
            first.published,
            tuple(round(row.ours) for row in mine),
            round(first.vela),
            (None, None, beats),
        )


def _swept(networks: _Networks) -> Iterator[EveryRow]:
    """The rows with other timing adapters."""
    for row in sweeps():
        simulator, _ = networks.of(row.model, row.macs)
        yield EveryRow(
            row.model,
            int(row.macs),
            "FVP",
            _adapters(row),
            Kind.SWEPT,
            row.npu_active,
            _cycles(simulator, row.profile),
            None,
            (None, None, None),
        )


def _adapters(row: Swept) -> str:
    return (
        f"SRAM cap {row.sram_bwcap or 'none'}, flash cap {row.ext_bwcap}, "
        f"latency {row.ext_rlatency}"
    )


def every_row(reference: Path, zoo: Path) -> list[EveryRow]:
    """All of them, in the order of their kinds."""
    with tempfile.TemporaryDirectory(prefix="every-row-") as name:
        networks = _Networks(reference, zoo, Path(name))
        sized = [*_sized(LIKELY, STREAM_ON_AXI0), *_sized("commands on AXI1", DRIVER)]
        rows = [*_counted(networks), *sized, *_swept(networks)]
    return sorted(rows, key=lambda row: list(Kind).index(row.kind))


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", type=Path, help="the artefacts of the FVP rows")
    parser.add_argument("zoo", type=Path, help=f"the directory of {MODEL}.tflite")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: docs/published.md")
    parser.add_argument("--check", action="store_true", help="change nothing")
    add_json_option(parser)
    given = parser.parse_args()
    rows = every_row(given.reference, given.zoo)
    return _told(rows, given.page, given.json, check=given.check)


def _told(rows: Sequence[EveryRow], page: Path, json: Path | None, *, check: bool) -> int:
    """Print and write everything; the exit status."""
    found = choices_without(rows)
    broken = broken_bounds(rows, found)
    text = {"every-row": row_table(rows), "without": without_table(found)}
    before = page.read_text(encoding="utf-8")
    after = filled(before, text)
    print(*text.values(), *broken, sep="\n\n")
    if not check:
        page.write_text(after, encoding="utf-8")
    elif after != before:
        print(f"{page}: not current: run make fidelity")
    write_json(json, {"rows": rows, "without": found, "broken": broken})
    return 1 if broken or (check and after != before) else 0


if __name__ == "__main__":
    sys.exit(main())
