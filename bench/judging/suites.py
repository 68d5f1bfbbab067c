"""The regression suites: which metrics each judges, and the command that runs one again."""

from __future__ import annotations

from bench.core.own_names import PREFIX
from bench.core.text import shell_words
from bench.plan.metrics import MetricName

__all__ = [
    "BENCH_RUN",
    "GROUP_SUITES",
    "MAIN_JOB",
    "SUITES",
    "reproduce_command",
    "suite_of",
    "test_name",
]

#: Suite (test file `tests/regression/test_<suite>.py`, test `test_<suite>`) -> its metrics.
SUITES: dict[str, tuple[MetricName, ...]] = {
    "accuracy": (MetricName.ACCURACY,),
    "encoded_weights": (MetricName.ENCODED_WEIGHTS, MetricName.ENCODING_RATIO),
    "device_model": (MetricName.DEVICE_MODEL, MetricName.SRAM, MetricName.FLASH),
    "npu_cycles": (MetricName.NPU_CYCLES, MetricName.INFERENCE_MS, MetricName.ACTIVE_SHARE),
    "reference": (MetricName.REFERENCE,),
    "cpu_operators": (MetricName.CPU_OPERATORS, MetricName.MACS),
    "memory_bound": (MetricName.MEMORY_WAIT,),
    "axi_traffic": (MetricName.AXI0_READ, MetricName.AXI0_WRITE, MetricName.AXI1_READ),
}

#: Suites over several cells.
GROUP_SUITES = ("mac_sweep", "variant_order")


#: What starts the main job: anywhere, and here. In a checkout, pytest finds the suites.
BENCH_RUN = ("bench", "run")
MAIN_JOB = BENCH_RUN if PREFIX else ("pytest",)

_SUITE_OF = {metric.value: suite for suite, metrics in SUITES.items() for metric in metrics}


def suite_of(metric: str) -> str:
    """The suite that judges `metric`; for groups, the suite has the name of the judgement."""
    return _SUITE_OF.get(metric, metric)


def reproduce_command(
    metric: str,
    subject: str,
    extra: tuple[str, ...] = (),
    program: tuple[str, ...] = MAIN_JOB,
) -> str:
    """The command that judges `metric` of `subject` again, to paste where the run was started."""
    return shell_words([*program, *extra, test_name(suite_of(metric), subject)])


def test_name(suite: str, subject: str) -> str:
    """The id in pytest of the test of `suite` for `subject`, the id of a cell or a group."""
    return f"tests/regression/test_{suite}.py::test_{suite}[{subject}]"
