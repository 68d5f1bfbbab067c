"""Why Vela failed, from its own words: the line that says so comes first."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from bench.compiler.installation import VelaInstallation
from bench.core.errors import CompilerError
from bench.core.processes import Bounds, memory_words, ran_out_of_memory, signal_name
from bench.core.text import one_line, without_tracebacks

__all__ = ["ended_badly", "failure", "reason_of"]

#: How much of Vela's words is shown: the last lines, the start of each, and of the reason.
_TAIL_LINES, _LINE_LENGTH, _REASON_LENGTH = 20, 500, 300

_CURE = (
    "change the model where this says; if it does not say where, run the command by hand for all "
    "of Vela's words"
)

#: A line that says what is wrong: a Python exception, or Vela's own error.
_TELLING = re.compile(r"(?:[A-Za-z_][\w.]*(?:Error|Exception)|Error|ERROR)(?::|$)")
#: What stands before what is wrong, and tells nothing.
_PREFIX = re.compile(
    r"\A(?:(?:RuntimeError|(?:[\w.]+\.)?VelaError|Compilation failed|Error|ERROR): *)+"
)


def reason_of(words: str) -> str:
    """The last meaningful line of what Vela said, with what follows it, as one line.

    That is its last error or exception; without any, its last line. Empty if it said nothing.
    """
    lines = _lines(words)
    telling = [number for number, line in enumerate(lines) if _TELLING.match(line)]
    last = lines[telling[-1] if telling else -1 :]
    return _cut(_PREFIX.sub("", " ".join(line.strip() for line in last), count=1), _REASON_LENGTH)


def ended_badly(
    status: int, words: str, arguments: Sequence[str], bounds: Bounds, vela: VelaInstallation
) -> CompilerError:
    """The error for an exit status other than 0; negative: the signal that ended Vela."""
    if bounds.memory_bytes is not None and ran_out_of_memory(words):
        return failure(
            f"wanted more than the {memory_words(bounds.memory_bytes)} of memory it may have",
            arguments,
            words,
            vela,
            cure="if the model is meant to be so large, raise vela.memory_mib",
        )
    reason = reason_of(words)
    if status == -signal.SIGKILL:
        what = (
            "was killed from outside (SIGKILL), most likely because the machine had no memory left"
        )
        return failure(what, arguments, words, vela, cure="run fewer workers at a time")
    if status < 0:
        said = f", after it said: {reason}" if reason else ""
        what = f"crashed ({signal_name(-status)}), which it does on a damaged model file{said}"
        return failure(what, arguments, words, vela, cure="convert the model again")
    if not reason:
        return failure(f"failed with exit code {status} and no word", arguments, words, vela)
    return failure(f"failed: {reason} (exit code {status})", arguments, words, vela)


def failure(
    what: str, arguments: Sequence[str], words: str, vela: VelaInstallation, cure: str = _CURE
) -> CompilerError:
    """The error that says `what` in its first line, and below it the command and Vela's words."""
    said = [f"    {_cut(line, _LINE_LENGTH)}" for line in _lines(words)[-_TAIL_LINES:]]
    listing = "\n".join(said) or "    (nothing)"
    return CompilerError(
        f"Vela {vela.version} {what}\n  command: {vela.shell_command(arguments)}\n"
        f"  it said:\n{listing}",
        cure=cure,
    )


def _lines(words: str) -> list[str]:
    """What Vela said, line by line, made safe to show."""
    lines = without_tracebacks(words).splitlines()
    return [one_line(line.rstrip()) for line in lines if line.strip()]


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}..."
