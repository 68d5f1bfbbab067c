"""The options with which the bench starts an FVP, whatever runs on it.

These are the options of Arm's own MLIA, without a terminal or a window, plus a second rule for the
end.
"""

from __future__ import annotations

from collections.abc import Mapping

from targets.ethos_u55.accelerators import Accelerator

__all__ = ["bench_options"]

#: No port is opened, so any number of processes may run at once.
_TERMINALS = (0, 1, 2, 5)
#: What Arm's applications and our firmware print last.
_END_TAG = "EXITTHESIM"


def bench_options(
    accelerator: Accelerator, parameters: Mapping[str, bool | int | float | str]
) -> tuple[str, ...]:
    """The `-C` parameters of a run on `accelerator`, the user's own `parameters` last."""
    ours: dict[str, bool | int | float | str] = {
        "ethosu.num_macs": int(accelerator),
        **{f"mps3_board.telnetterminal{i}.start_telnet": False for i in _TERMINALS},
        "mps3_board.uart0.out_file": "-",
        # Some versions do not stop at the end-of-transmission character, so there is also the tag.
        "mps3_board.uart0.shutdown_on_eot": True,
        "mps3_board.uart0.shutdown_tag": _END_TAG,
        "mps3_board.visualisation.disable-visualisation": True,
    }
    assignments = [f"{key}={_text(value)}" for key, value in {**ours, **parameters}.items()]
    return (*(word for text in assignments for word in ("-C", text)), "--stat")


def _text(value: bool | int | float | str) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
