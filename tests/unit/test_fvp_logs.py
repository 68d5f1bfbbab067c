"""What Arm's own programs print becomes counters, or an error that says what failed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.fvp.runner_log import LineReader, RunnerLog, executorch_log, mlek_log
from targets.jobs.errors import AnswerError
from tests.support.fvp import logs

Take = Callable[[RunnerLog, str], None]

BEATS = {
    "AXI0_RD_DATA_BEAT_RECEIVED": 9012,
    "AXI0_WR_DATA_BEAT_WRITTEN": 3345,
    "AXI1_RD_DATA_BEAT_RECEIVED": 12618,
}
CYCLES = {"NPU_ACTIVE": 91050, "NPU_IDLE": 1213, "CYCLE": 92263}


def read(take: Take, text: str, piece: int = 17) -> RunnerLog:
    """As an FVP sends it: CRLF, between its own words, cut anywhere."""
    data = (logs.BANNER + text + logs.STATISTICS).replace("\n", "\r\n").encode()
    log, lines = RunnerLog(), LineReader()
    for start in range(0, len(data), piece):
        for line in lines.feed(data[start : start + piece]):
            take(log, line)
    for line in lines.finish():
        take(log, line)
    return log


@pytest.mark.parametrize("piece", [1, 17, 100_000])
@pytest.mark.parametrize(
    ("text", "counters"),
    [
        (logs.MLEK, CYCLES | BEATS),
        (logs.MLEK_OLDER, CYCLES | BEATS),
        (logs.MLEK_2103, CYCLES),
        (logs.MLEK_METRICS, CYCLES | BEATS),
    ],
    ids=["now", "older", "21.03", "metrics"],
)
def test_mlek_in_all_its_forms(text: str, counters: dict[str, int], piece: int) -> None:
    log = read(mlek_log, text, piece)
    log.require_sound("MLEK")
    assert log.counters == counters
    assert (log.macs, log.completed, log.inferences, log.ended) == (128, True, 1, False)


def test_executorch() -> None:
    log = read(executorch_log, logs.EXECUTORCH)
    log.require_sound("ExecuTorch")
    assert log.counters == BEATS | {"CYCLE": 92263, "NPU_ACTIVE": 91050}
    assert (log.completed, log.inferences) == (True, 1)


def test_the_end_is_seen() -> None:
    for end in ("Application exit code: 0.\n\x04\n", "EXITTHESIM\n"):
        assert read(mlek_log, logs.MLEK + end).ended


def test_two_accounts_that_agree_are_one_and_others_are_refused() -> None:
    metrics = next(line for line in logs.MLEK_METRICS.splitlines() if "metrics" in line)
    read(mlek_log, f"{logs.MLEK}{metrics}\n").require_sound("MLEK")
    other = logs.MLEK.replace("91050", "91051")
    with pytest.raises(AnswerError, match="NPU_ACTIVE 91051 and 91050"):
        read(mlek_log, f"{other}{metrics}\n").require_sound("MLEK")


def test_several_inferences_are_refused() -> None:
    several = logs.MLEK.replace("inferences: 1", "inferences: 4")
    with pytest.raises(AnswerError, match="made 4 inferences"):
        read(mlek_log, several).require_sound("MLEK")
    average = logs.EXECUTORCH.replace("(92263.00 per", "(9226.30 per")
    with pytest.raises(AnswerError, match="made 10 inferences"):
        read(executorch_log, average).require_sound("ExecuTorch")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "E: NPU config mismatch. npu.macs_per_cc=128, optimizer.macs_per_cc=256",
            "the NPU has 128 MACs/cc, the model was compiled for 256",
        ),
        ("ERROR - Arm Ethos-U NPU initialisation failed", "found no Ethos-U NPU"),
        (
            "E: ethosu_driver.c:345: NPU status=0x00ff0815, qread=128, cmd_end_reached=0",
            "STATUS 0x00ff0815 at byte 128 of the command stream",
        ),
        ("E: ethosu_driver.c:7: NPU inference timed out.", "did not finish in the time"),
        (
            "E: NPU config mismatch. npu.product=0, optimizer.product=2",
            "compiled for another NPU: npu.product=0, optimizer.product=2",
        ),
        ("ERROR - Failed to initialize timing-adapter #1", "could not set timing adapter 1"),
        ("ERROR - Failed to allocate tensors!", "tensor arena is too small"),
        ("ERROR - Failed to initialise model", "no kernel for one of its operators"),
        ("ERROR - Inference failed.", "the inference failed on the device"),
        ("ERROR - Invoke failed.", "the inference failed on the device"),
    ],
)
def test_failures_are_told_with_their_numbers(line: str, says: str) -> None:
    log = read(mlek_log, f"{line}\nERROR - Inference failed.\n")
    with pytest.raises(AnswerError, match=says):
        log.require_sound("MLEK's inference runner")


def test_damaged_metrics_are_an_error() -> None:
    for text in ("<metrics>AAA</metrics>", "<metrics>e30</metrics>", "<metrics>/w==</metrics>"):
        with pytest.raises(AnswerError, match="metrics are damaged"):
            read(mlek_log, text + "\n").require_sound("MLEK")


def test_a_line_without_end_takes_no_memory() -> None:
    lines = LineReader()
    for _ in range(200):
        assert list(lines.feed(b"x" * 65536)) == []
        assert len(lines._pending) <= 65536


@pytest.mark.parametrize("take", [mlek_log, executorch_log])
@given(text=st.text(max_size=400), data=st.binary(max_size=100))
def test_garbage_is_no_answer_and_no_crash(take: Take, text: str, data: bytes) -> None:
    log, lines = RunnerLog(), LineReader()
    for line in (*lines.feed(text.encode() + data + b"\n"), *lines.finish()):
        take(log, line)
    if not log.error:
        assert not log.counters


@given(cut=st.integers(0, 900), flip=st.integers(0, 900), bit=st.integers(0, 7))
def test_damage_never_becomes_another_event(cut: int, flip: int, bit: int) -> None:
    data = bytearray(logs.MLEK_METRICS.encode())
    data[flip % len(data)] ^= 1 << bit
    del data[cut % len(data)]
    log = RunnerLog()
    for line in data.decode("utf-8", "replace").splitlines():
        mlek_log(log, line)
    assert set(log.counters) <= set(CYCLES | BEATS)
