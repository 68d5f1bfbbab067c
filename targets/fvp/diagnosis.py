"""Why an FVP process gave no answer: what it printed, as one sentence with its cure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from bench.core.errors import BenchError, ConfigError, PrerequisiteError, TargetError
from bench.core.processes import memory_words, ran_out_of_memory, signal_name
from targets.fvp.errors import InfrastructureError
from targets.fvp.launch import Ending, Limits, Outcome

__all__ = ["diagnose", "known_failure"]

_ENVIRONMENT = "the table [targets.fvp.environment] of bench.toml"
_EXCERPT = 200


@dataclass(frozen=True)
class _Known:
    """Something that an FVP or its machine prints, and what it means."""

    pattern: re.Pattern[str]
    #: May refer to the pattern's groups.
    what: str
    cure: str
    error: Callable[..., BenchError] = PrerequisiteError


#: The first that matches decides. The patterns are messages of Arm and Linux.
_KNOWN = (
    _Known(
        re.compile(r"error while loading shared libraries: (libpython\S*):"),
        r"the FVP does not find the Python that came with it (\1)",
        "set PYTHONHOME=<installation>/python and LD_LIBRARY_PATH=<installation>/fmtplib:"
        f"<installation>/python/lib in {_ENVIRONMENT}",
    ),
    _Known(
        re.compile(r"(\S+): cannot enable executable stack as shared object requires"),
        r"this machine's C library refuses \1, which wants an executable stack",
        f"set GLIBC_TUNABLES=glibc.rtld.execstack=2 in {_ENVIRONMENT} (glibc 2.41 and later)",
    ),
    _Known(
        re.compile(r"version `(GLIBC\S*|GLIBCXX\S*)' not found"),
        r"the FVP needs a newer C or C++ library than this machine has (\1)",
        "use an older FVP, a newer system, or a container: docs/fvp.md",
    ),
    _Known(
        re.compile(r"error while loading shared libraries: (\S+?):"),
        r"the library \1, which the FVP needs, is missing on this machine",
        "install the package that holds it (on Debian `apt-file search` finds it; for "
        "libatomic.so.1 it is libatomic1)",
    ),
    _Known(
        re.compile(r"(?i)licen[cs]e error:? *([^\r\n]*)"),
        r"the FVP got no licence: \1",
        "this is the FVP of Keil MDK, which needs one; the FVP of Arm's ecosystem archive needs "
        "none: docs/fvp.md",
    ),
    _Known(
        re.compile(
            r"(?i)(unknown parameter[^\r\n]*|parameter [^\r\n]*(?:not found|not exist)[^\r\n]*)"
        ),
        r"the FVP refuses a parameter: \1",
        "correct targets.fvp.parameters; the FVP lists its parameters with --list-params",
        ConfigError,
    ),
    _Known(
        re.compile(r"(?i)exec format error"),
        "the FVP is for another processor than this machine's",
        "install the archive for this machine: Linux64 or Linux64_armv8l",
    ),
    _Known(
        re.compile(r"Simulation is stopping\. Reason: ([^\r\n]*)"),
        r"the FVP stopped before it had answered: \1",
        "remove the limit from targets.fvp.parameters",
        TargetError,
    ),
)


def diagnose(outcome: Outcome, limits: Limits, missing: str) -> BenchError:
    """The error for a process that ended without its answer; `missing` says what is missing.

    A failure of the machine is a `PrerequisiteError`, a refused parameter is a `ConfigError`, a
    failure that a retry may cure is an `InfrastructureError`, and everything else is a
    `TargetError`.
    """
    if outcome.ending is Ending.TIMED_OUT:
        return TargetError(
            f"the FVP was stopped after {limits.seconds:g} s: {missing}",
            cure="if the model is large or the machine busy, raise targets.fvp.timeout_s, or lower "
            "inferences_per_process or samples",
        )
    if outcome.ending is Ending.FLOODED:
        return TargetError(
            f"the FVP was stopped after it had printed {outcome.output_bytes / 1e6:.0f} MB: "
            f"{missing}",
            cure="the log holds the beginning and the end of it",
        )
    text = outcome.excerpt
    known = known_failure(text)
    if known is not None:
        return known
    if outcome.status and ran_out_of_memory(text):
        return TargetError(
            f"the FVP wanted more than the {memory_words(limits.memory_bytes)} of memory it may "
            f"have: {missing}",
            cure="check targets.fvp.parameters for a parameter that enlarges a memory",
        )
    if outcome.status is not None and outcome.status < 0:
        return InfrastructureError(
            f"the FVP crashed ({signal_name(-outcome.status)}): {missing}",
            cure="run the command in the log by hand",
        )
    said = next((line for line in reversed(text.splitlines()) if line.strip()), "nothing")
    return InfrastructureError(
        f"the FVP ended with status {outcome.status}: {missing}; it last said: "
        f"{said.strip()[:_EXCERPT]}"
    )


def known_failure(text: str) -> BenchError | None:
    """The error for the output of an FVP, or of the system; None if it is not a known one."""
    for known in _KNOWN:
        match = known.pattern.search(text)
        if match is not None:
            return known.error(match.expand(known.what).rstrip(" :"), cure=known.cure)
    return None
