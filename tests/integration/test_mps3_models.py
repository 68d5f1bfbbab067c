"""Target `mps3` on the virtual board against target `sim`: outputs and counters, bit by bit.

In CI every model once, on a board of 128 MACs; `make test-board` runs each in both memory modes on
boards of all four sizes, and the built-in study as users do.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode
from targets.mps3.target import Mps3Target
from tests.support.bench_runs import DEFAULT_CONFIG, BenchRunner
from tests.support.boards.jobs import assert_as_sim
from tests.support.boards.virtual_board import virtual_board
from tests.support.models.compiled_jobs import compiled_job
from tests.support.models.vela_files import zoo

MODELS = (
    "ad01_int8",
    "kws_micronet_m",
    "kws_ref_model",
    "pretrainedResnet_quant",
    "vww_96_int8",
)
MODES = tuple(MemoryMode)
#: The variable that asks for everything; set by `make test-board`.
FULL_VARIABLE = "BENCH_TEST_BOARD"

full = os.environ.get(FULL_VARIABLE, "") not in ("", "0")


@pytest.mark.parametrize("accelerator", tuple(Accelerator) if full else (Accelerator.U55_128,))
def test_real_models_in_one_boot(tmp_path: Path, accelerator: Accelerator) -> None:
    configurations = [
        (model, mode)
        for number, model in enumerate(MODELS)
        for mode in (MODES if full else (MODES[number % 2],))
    ]
    jobs = [
        compiled_job(
            zoo() / f"{model}.tflite",
            tmp_path / f"{model}-{mode.slug}",
            accelerator=accelerator,
            memory_mode=mode,
            rows=1,
        )
        for model, mode in configurations
    ]
    with virtual_board(tmp_path / "b", macs=int(accelerator)) as board:
        before = len(board.events("boot"))
        target = Mps3Target(board.settings(silence_s=120, repetitions=1), tmp_path / "logs")
        outcomes = dict(target.run_batch(jobs))
        assert len(board.events("boot")) - before <= 2
    assert len(outcomes) == len(jobs)
    for number, job in enumerate(jobs):
        assert_as_sim(job, outcomes[number])


@pytest.mark.skipif(not full, reason="the study on the board takes many minutes: make test-board")
def test_the_study_on_it(tmp_path: Path) -> None:
    with virtual_board(tmp_path / "b") as board:
        text = DEFAULT_CONFIG.read_text(encoding="utf-8")
        changed = text.replace("macs = [32, 64, 128, 256]", "macs = [128]").replace(
            'targets = ["sim"]', 'targets = ["sim", "mps3"]'
        )
        # One accelerator is no sweep.
        changed = re.sub("^expect_bound = .*$", "", changed, flags=re.MULTILINE)
        runner = BenchRunner(tmp_path)
        config = runner.write_config(changed + board.table(silence_s=120, samples=100))
        before = len(board.events("boot"))
        run = runner.run(config, "-n", "auto", timeout=3600)
        records = run.records()
        mine = {id_: r for id_, r in records.items() if r.cell.target == "mps3"}
        assert len(mine) == 16, run.output[-4000:]
        assert len(board.events("boot")) - before <= 5
    for id_, record in mine.items():
        twin = records[id_.removesuffix("mps3") + "sim"]
        assert record.measurement.counters == twin.measurement.counters, id_
        assert record.reference is not None
        assert record.reference.mismatches == 0, id_
