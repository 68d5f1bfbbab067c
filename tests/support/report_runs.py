"""Runs for tests of the reports: directories with real verdicts on records of a real compile.

`GRID` is a grid of three variants on four accelerators. Variant `pruned` got worse against its
accepted figures because Vela changed, `clustered` got better, and one cell could not be measured.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.baselines.accepted import Baselines
from bench.baselines.accepting import accept
from bench.history.rows import rows_of_run
from bench.history.store import HistoryStore
from bench.judging.baseline import judge_against_accepted
from bench.judging.suites import SUITES, reproduce_command, suite_of
from bench.judging.verdicts import judge_cell
from bench.plan.cell import Cell
from bench.plan.config import BaselineConfig, LimitRule
from bench.plan.metrics import MetricName
from bench.records.cases import Case, CaseOutcome, Selection
from bench.records.record import CellIdentity, Record, Status, UnmeasuredRecord, Verdict
from bench.records.run import CiJob, Revision, RunManifest, Surroundings
from bench.records.run_directory import RunDirectory
from bench.report.cases import Findings, case_views
from bench.report.run_view import RunView
from bench.report.view.cells import cell_views
from bench.report.view.studies import Study, studies_of
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.protocol import LayerCycles, Source
from targets.timing_profiles import PROFILES
from tests.support.records import dense_layer_record

__all__ = [
    "HOSTILE",
    "LOST",
    "REGRESSED",
    "hostile_run",
    "many_cells_view",
    "mixed_run",
    "record_of",
    "studies_of_records",
    "view_of_records",
    "write_run",
]

#: Text that breaks out of whatever does not expect it.
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "'\"`&<!-- ]]> {{ 7*7 }} {% raw %} \x00\x1b[31m\u202eevil\u2028 |`|\n# x"
)
_RULES = (
    LimitRule(metric=MetricName.NPU_CYCLES, max=100_000),
    LimitRule(metric=MetricName.ACCURACY, min=0.5),
)
_UNCOUNTED = ("AXI0_RD_DATA_BEAT_RECEIVED", "AXI0_WR_DATA_BEAT_WRITTEN", "NPU_IDLE")
_VARIANTS = {"base": (90_000, 0.97), "pruned": (34_000, 0.96), "clustered": (56_000, 0.965)}
REGRESSED = "net-pruned-u55_128-shared_sram-sim"
#: The cell that could not be measured.
LOST = "net-clustered-u55_256-shared_sram-sim"


def record_of(workload: str, variant: str, macs: Accelerator, cycles: int, top1: float) -> Record:
    """A record of target `sim`, with layers, without verdicts."""
    made = dense_layer_record(variant)
    cell = Cell(workload, variant, macs, MemoryMode.SHARED_SRAM, "sim")
    rows = tuple(
        LayerCycles(
            name=f"{name} @{i}",
            compute=cycles // 9,
            weight_decode=cycles // 10,
            flash=cycles * share // 100,
            sram=10,
            issue=20,
            total=cycles * share // 100,
            bound_by=bound,
            layer=name,
        )
        for i, (name, share, bound) in enumerate(
            [("dense_1", 80, "flash"), ("dense_2", 15, "compute"), ("softmax", 5, "latency")]
        )
    )
    measurement = made.measurement.model_copy(
        update={
            "source": Source.SIMULATED,
            "counters": {"NPU_ACTIVE": cycles, "AXI1_RD_DATA_BEAT_RECEIVED": cycles // 8},
            "kinds": {"NPU_ACTIVE": "modelled"},
            "unavailable": dict.fromkeys(_UNCOUNTED, "this target has no such counter"),
            "layers": rows,
            "explanation": "estimate: dense_1 is flash-bound: smaller weights help.",
        }
    )
    accuracy = made.accuracy.model_copy(update={"value": top1}) if made.accuracy else None
    return made.model_copy(
        update={
            "cell": CellIdentity.of(cell),
            "measurement": measurement,
            "accuracy": accuracy,
            "reference_absent": "no reference here",
            "promised": (MetricName.ACCURACY, MetricName.NPU_CYCLES, MetricName.AXI1_READ),
            "binding": {"flash": 0.8, "compute": 0.15, "latency": 0.05},
        }
    )


def _judged(record: Record, accepted: Baselines | None) -> Record:
    compared: tuple[Verdict, ...] = ()
    if accepted is not None:
        compared = judge_against_accepted(
            record, accepted, BaselineConfig(), 0.5, reproduce_command
        )
    told = {verdict.metric for verdict in compared}
    limited = judge_cell(record, record, _RULES, reproduce_command, "", told, covered=bool(told))
    return record.model_copy(update={"verdicts": (*limited, *compared)})


def _cases(cell: str) -> list[Case]:
    return [
        Case(suite=suite, subject=cell, nodeid=f"t/test_{suite}.py::t[{cell}]", cells=(cell,))
        for suite in SUITES
        if suite != "memory_bound"
    ]


def _outcome(case: Case, record: Record | None) -> CaseOutcome:
    mine = [v for v in record.verdicts if suite_of(v.metric) == case.suite] if record else []
    failed = record is None or any(verdict.fails for verdict in mine)
    text = "\n".join(verdict.line for verdict in mine if verdict.fails)
    return CaseOutcome(
        nodeid=case.nodeid,
        outcome="failed" if failed else "passed" if mine else "skipped",
        seconds=0.25,
        text=text,
    )


def write_run(
    path: Path,
    records: Sequence[Record],
    unmeasured: Iterable[UnmeasuredRecord] = (),
    *,
    started: str = "2026-11-29T03:00:00+0000",
    commit: str = "c0ffee" * 6 + "c0ff",
    vela: str = "5.2.0",
) -> RunDirectory:
    """The directory of a run with these findings, as a bench leaves it."""
    lost = list(unmeasured)
    cells = [record.cell.id for record in records] + [one.cell.id for one in lost]
    manifest = RunManifest(
        started=started,
        host="host",
        python="3.11.7",
        platform="Linux",
        config_path=f"{path.parent}/bench.toml",
        directory=str(path.parent),
        config_sha256="0" * 64,
        data="d",
        planned_cells=tuple(cells),
        config_lines={"workloads.net": 7, "workloads.net.limits[0].max": 12},
        timing=dict(PROFILES),
        surroundings=Surroundings(
            revision=Revision(commit=commit, branch="main"),
            ci_job=CiJob(address="https://ci.example/1"),
            tools={"ethos-u-vela": vela},
        ),
    )
    run = RunDirectory.create(path, manifest)
    by_id = {record.cell.id: record for record in records}
    for record in records:
        run.write_record(record)
    for one in lost:
        run.write_unmeasured(one)
    cases = [case for cell in cells for case in _cases(cell)]
    run.write_selection(Selection(cases=tuple(cases)))
    for case in cases:
        run.append_outcome(_outcome(case, by_id.get(case.subject)))
    return run


def mixed_run(results: Path) -> RunDirectory:
    """The run described at the top, with a history of five runs before it, in `results`."""
    found: list[Record] = []
    for variant, (cycles, top1) in _VARIANTS.items():
        for macs in Accelerator:
            record = record_of("net", variant, macs, cycles + 320 // int(macs), top1)
            if record.cell.id != LOST:
                found.append(record)
    before = [_as_accepted(record) for record in found]
    day = datetime.date(2026, 11, 1)
    accepted = accept(Baselines(origin="baselines/sim/net.toml"), before, (), reason="r", today=day)
    judged = [_judged(record, accepted.after) for record in found]
    store = HistoryStore(results / "history.sqlite")
    results.mkdir(parents=True, exist_ok=True)
    for number in range(5):
        started = f"2026-11-{20 + number}T03:00:00+0000"
        name = f"202611{20 + number}-030000-1"
        commit = f"{number}" * 40
        old = write_run(results / name, before, started=started, commit=commit, vela="5.1.0")
        rows = rows_of_run(name, old.manifest(), before, (), complete=True)
        store.append(rows)
    lost = UnmeasuredRecord(
        cell=CellIdentity.of(
            Cell("net", "clustered", Accelerator.U55_256, MemoryMode.SHARED_SRAM, "sim")
        ),
        status=Status.INCOMPLETE,
        error="CompilerError",
        reason="Vela crashed",
        cure="try another version",
        fails=True,
    )
    run = write_run(results / "20261129-030000-1", judged, [lost])
    store.append(rows_of_run(run.path.name, run.manifest(), judged, [lost], complete=True))
    return run


def _as_accepted(record: Record) -> Record:
    """How the same cell was before: `pruned` faster, `clustered` slower, by an older Vela."""
    factor = {"pruned": 0.9, "clustered": 1.2}.get(record.cell.variant, 1.0)
    counters = dict(record.measurement.counters)
    counters["NPU_ACTIVE"] = int(counters["NPU_ACTIVE"] * factor)
    vela = "5.1.0" if factor != 1 else record.compilation.vela_version
    return record.model_copy(
        update={
            "measurement": record.measurement.model_copy(update={"counters": counters}),
            "compilation": record.compilation.model_copy(update={"vela_version": vela}),
        }
    )


def hostile_run(results: Path) -> RunDirectory:
    """A run whose records hold text that attacks whatever shows it, and names without end."""
    results.mkdir(parents=True, exist_ok=True)
    record = record_of("net", "base", Accelerator.U55_128, 1000, 0.9)
    rows = tuple(
        row.model_copy(update={"layer": HOSTILE + "x" * 10_000, "bound_by": HOSTILE})
        for row in record.measurement.layers
    )
    measurement = record.measurement.model_copy(
        update={
            "layers": rows,
            "explanation": HOSTILE,
            "counters": {HOSTILE: 1},
            "unavailable": {"NPU_ACTIVE": HOSTILE},
            "provenance": {HOSTILE: HOSTILE},
        }
    )
    cell = record.cell.model_copy(update={"workload": HOSTILE, "variant": HOSTILE})
    hostile = record.model_copy(
        update={
            "measurement": measurement,
            "cell": cell,
            "data": record.data.model_copy(update={"name": HOSTILE}),
            "binding": {HOSTILE: 1.0},
        }
    )
    verdicts = judge_cell(hostile, hostile, _RULES, reproduce_command)
    attacked = [
        verdict.model_copy(update={"reason": HOSTILE, "reproduce": HOSTILE}) for verdict in verdicts
    ]
    attacked[0] = attacked[0].model_copy(update={"status": Status.FAIL, "fails": True})
    lost = UnmeasuredRecord(
        cell=record_of("net", HOSTILE, Accelerator.U55_32, 1000, 0.9).cell.model_copy(
            update={"id": "net-lost-u55_32-shared_sram-sim"}
        ),
        status=Status.INCOMPLETE,
        error=HOSTILE,
        reason=HOSTILE,
        cure=HOSTILE,
        fails=True,
    )
    made = hostile.model_copy(update={"verdicts": tuple(attacked)})
    return write_run(results / "20261129-030000-2", [made], [lost])


def many_cells_view(count: int) -> RunView:
    """A run of `count` cells, a regressed one in every hundred, as its reports see it."""
    macs = list(Accelerator)
    template = _judged(record_of("net", "base", Accelerator.U55_128, 90_000, 0.97), None)
    worse = template.verdicts[0].model_copy(update={"status": Status.FAIL, "fails": True})
    records = []
    for i in range(count):
        cell = template.cell.model_copy(
            update={
                "id": f"w{i // 16}-v{i // 4 % 4}-{macs[i % 4].slug}-shared_sram-sim",
                "workload": f"w{i // 16}",
                "variant": f"v{i // 4 % 4}",
                "macs": macs[i % 4],
            }
        )
        verdicts = (worse, *template.verdicts[1:]) if i % 100 == 0 else template.verdicts
        records.append(template.model_copy(update={"cell": cell, "verdicts": verdicts}))
    cases = [case for record in records for case in _cases(record.cell.id)]
    findings = Findings.of(records, (), (), ())
    views = tuple(case_views(cases, findings, [_passed(case) for case in cases]))
    cells = [record.cell.id for record in records]
    return RunView(
        planned=count,
        records=tuple(records),
        unmeasured=(),
        sweeps=(),
        cases=views,
        cells=cell_views(cells, findings.records, {}, views),
        name="many",
    )


def _passed(case: Case) -> CaseOutcome:
    return CaseOutcome(nodeid=case.nodeid, outcome="passed", seconds=0.1)


def studies_of_records(records: Iterable[Record]) -> tuple[Study, ...]:
    """Records that belong to no run, as tables show them."""
    cells = [
        cell
        for record in records
        for cell in cell_views([record.cell.id], {record.cell.id: record}, {}, ())
    ]
    return studies_of(cells, ())


def view_of_records(records: Sequence[Record]) -> RunView:
    """A run of nothing but `records`, without tests."""
    by_id = {record.cell.id: record for record in records}
    return RunView(
        planned=len(records),
        records=tuple(records),
        unmeasured=(),
        sweeps=(),
        cases=(),
        cells=cell_views(list(by_id), by_id, {}, ()),
        name="records",
    )
