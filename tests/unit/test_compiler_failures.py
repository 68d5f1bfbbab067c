"""Vela's failures: what it said is wrong stands in the first line."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.compiler import VelaOptions, compile_model
from bench.compiler.failures import reason_of
from bench.core.errors import CompilerError
from bench.core.processes import Bounds, Ended
from bench.core.text import one_line
from targets.ethos_u55.accelerators import Accelerator
from targets.ethos_u55.memory_modes import MemoryMode

OPTIONS = VelaOptions(accelerator=Accelerator.U55_128, memory_mode=MemoryMode.SHARED_SRAM)

REGOR = """\
Warning: something to look at
Traceback (most recent call last):
  File "/venv/ethosu/vela/__main__.py", line 22, in <module>
    sys.exit(main())
             ^^^^^^
  File "/venv/ethosu/vela/vela.py", line 137, in process_regor
    compiled_model = regor.compile(accelerator, network, fmt, system_config)
RuntimeError: Compilation failed: Error: RESHAPE 'dense' Does not have valid TFLite Semantics.
 - Input and output number of elements must match
   IFM shape=1, 3, OFM shape=1, 64, 3
Failed to parse TFLite file

"""
CHAINED = """\
Traceback (most recent call last):
  File "a.py", line 1, in <module>
KeyError: 3

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
ethosu.vela.errors.InputFileError: 'Error: Reading input file: no buffer'
"""
LISTED = """\
Info: reading
Error: Invalid tensor 'a'
Error: Allocation failed: no place for 'b'
"""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            REGOR,
            "RESHAPE 'dense' Does not have valid TFLite Semantics. - Input and output number of "
            "elements must match IFM shape=1, 3, OFM shape=1, 64, 3 Failed to parse TFLite file",
        ),
        (CHAINED, "ethosu.vela.errors.InputFileError: 'Error: Reading input file: no buffer'"),
        (LISTED, "Allocation failed: no place for 'b'"),
        ("reading\n\n  No networks defined  \n\n", "No networks defined"),
        ("Traceback (most recent call last):\n  File 'a'\nAssertionError\n", "AssertionError"),
        ("", ""),
        ("\n \n", ""),
    ],
    ids=["traceback", "two exceptions", "list", "no error", "no text", "nothing", "blanks"],
)
def test_the_line_that_says_what_is_wrong_is_found(words: str, reason: str) -> None:
    assert reason_of(words) == reason


@given(st.text())
def test_whatever_vela_says_the_reason_is_one_short_line(words: str) -> None:
    reason = reason_of(words)
    assert one_line(reason) == reason
    assert len(reason) <= 310
    assert bool(reason) or not words.strip()


def failed(directory: Path, status: int, words: str, bounds: Bounds) -> CompilerError:
    """What `compile_model` says of a Vela that ends like this."""
    model = directory / "model.tflite"
    model.write_bytes(b"")
    with pytest.raises(CompilerError) as caught:
        compile_model(
            model,
            OPTIONS,
            directory / "out",
            bounds=bounds,
            runner=lambda arguments, work, bounds: Ended(status, words),
        )
    return caught.value


@pytest.mark.parametrize(
    ("status", "words", "first", "cure"),
    [
        (1, REGOR, "failed: RESHAPE 'dense' Does not have valid TFLite", "run the command by hand"),
        (1, LISTED, "failed: Allocation failed: no place for 'b' (exit code 1)", "by hand"),
        (3, "", "failed with exit code 3 and no word", "by hand"),
        (
            1,
            "terminate called\nwhat(): std::bad_alloc\n",
            "wanted more than the 512 MiB of memory it may have",
            "vela.memory_mib",
        ),
        (
            -signal.SIGSEGV,
            "reading\nError: bad buffer\n",
            "crashed (SIGSEGV), which it does on a damaged model file, after it said: bad buffer",
            "convert the model again",
        ),
        (-signal.SIGKILL, "reading\n", "was killed from outside (SIGKILL)", "fewer workers"),
    ],
    ids=["traceback", "list", "silence", "memory", "crash", "killed"],
)
def test_the_first_line_of_the_error_says_why(
    status: int, words: str, first: str, cure: str, tmp_path: Path
) -> None:
    error = failed(tmp_path, status, words, Bounds(10, 512 << 20))
    assert first in error.what.splitlines()[0]
    assert error.what.startswith("Vela 5")
    assert cure in error.cure
    assert "--accelerator-config ethos-u55-128" in error.what


def test_velas_words_are_bounded_and_obeyed_by_no_terminal(tmp_path: Path) -> None:
    evil = "Error: \x1b[2J" + "x" * 5000
    error = failed(tmp_path, 1, "\n".join(["warning: " + "y" * 9000] * 300 + [evil]), Bounds(10))
    assert r"\x1b[2J" in error.what.splitlines()[0]
    assert "\x1b" not in error.what
    assert len(error.what) < 20_000
    assert len(error.what.splitlines()[0]) < 400
