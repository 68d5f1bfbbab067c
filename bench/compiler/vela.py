"""Compiling with Vela: its output is moved into place only when it is complete."""

from __future__ import annotations

import hashlib
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.compiler.options import VelaOptions, require_vela, vela_version
from bench.compiler.report import VelaReport, per_layer_name, read_report, summary_name
from bench.compiler.running import VelaRunner, run_alone
from bench.core.errors import CompilerError, ModelError
from bench.core.processes import (
    Bounds,
    TimedOutError,
    memory_words,
    ran_out_of_memory,
    signal_name,
)
from bench.core.schema import RecordModel

__all__ = ["COMPILE_BOUNDS", "CompiledModel", "compile_model"]

#: Far more than any network that fits an Ethos-U55 needs: the largest of the public models takes
#: 10 s and 300 MiB.
COMPILE_BOUNDS = Bounds(seconds=600, memory_bytes=4 << 30)

_TAIL_LINES = 20
_CURE = (
    "check that the model is a fully quantised .tflite; run the command by hand to see all of "
    "Vela's words"
)


class CompiledModel(RecordModel):
    """What a compile gave: the optimised `.tflite` and what Vela said about it.

    Holds no machine path, so that a record compares across machines and survives a move of
    the cache: `file_name` is relative to the directory the compile wrote to.
    """

    #: Name of Vela's `.tflite` in the output directory.
    file_name: str
    sha256: str
    size_bytes: int
    #: `config_file` reduced to its name; `config_sha256` tells which file it was.
    options: VelaOptions
    vela_version: str
    #: Of the configuration file's bytes, Arm's own or the user's.
    config_sha256: str
    #: The command line, machine paths replaced by placeholders such as `{model}`.
    command: tuple[str, ...]
    report: VelaReport

    def path(self, directory: Path) -> Path:
        """The optimised `.tflite`, given the directory the compile wrote to."""
        return directory / self.file_name

    @property
    def device_model_bytes(self) -> int:
        """What the device stores, in bytes: the size of Vela's `.tflite`.

        It holds the encoded weights, the scales and look-up tables, the command stream and
        the flatbuffer around them. Taken to be what Arm's pruning and clustering article calls
        the device model size: the 6.98 KiB that a rebuild of its network needs beside the
        encoded weights, added to the article's encoded sizes and rounded up to disk blocks of
        4 KiB, give its 104, 40, 64 and 32 KiB. (The flash used, without stream and
        flatbuffer, does not.)
        """
        return self.size_bytes


def compile_model(
    model: Path,
    options: VelaOptions,
    output_dir: Path,
    *,
    bounds: Bounds = COMPILE_BOUNDS,
    runner: VelaRunner = run_alone,
) -> CompiledModel:
    """Compile the `.tflite` at `model` with Vela and read its report.

    Writes into `output_dir` (created where missing) `<model>_vela.tflite`, Vela's two CSV
    files and its printed words as `<model>_vela.log`; earlier files of these names are
    replaced, and only when the compile succeeded. A network of which no operator landed on
    the NPU is no error here: `report.npu_operators` is 0. `runner` is how Vela's process
    comes about; it changes nothing of the result.

    Raises `ConfigError` (options), `ModelError` (no such file), `PrerequisiteError` (no
    Vela) and `CompilerError` (Vela failed, took more time or memory than `bounds`, or wrote
    something unreadable).
    """
    require_vela()
    options.check()
    if not model.is_file():
        raise ModelError(f"there is no model file {model}", cure="check the path")
    version = vela_version()
    output_dir.mkdir(parents=True, exist_ok=True)
    # A directory of its own: what is found there afterwards was written by this compile.
    with tempfile.TemporaryDirectory(prefix=".vela-", dir=output_dir) as scratch:
        work = Path(scratch).resolve()
        stem = model.stem
        arguments = options.arguments(str(model.resolve()), str(work))
        words = _run(runner, arguments, work, bounds, version)
        optimised = work / f"{stem}_vela.tflite"
        if not optimised.is_file() or optimised.stat().st_size == 0:
            raise _failure("reported success but wrote no model", arguments, words, version)
        report = read_report(work, stem, options.system_config, version)
        log = work / f"{stem}_vela.log"
        log.write_text(words, encoding="utf-8")
        content = optimised.read_bytes()
        compiled = CompiledModel(
            file_name=optimised.name,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            options=_portable(options),
            vela_version=version,
            config_sha256=options.config_sha256(),
            command=options.recorded_command(),
            report=report,
        )
        # The model last: whoever finds it finds its report beside it.
        for name in (
            summary_name(stem, options.system_config),
            per_layer_name(stem),
            log.name,
            optimised.name,
        ):
            (work / name).replace(output_dir / name)
    return compiled


def _portable(options: VelaOptions) -> VelaOptions:
    if options.config_file is None:
        return options
    return options.model_copy(update={"config_file": Path(options.config_file.name)})


def _run(
    runner: VelaRunner, arguments: Sequence[str], work: Path, bounds: Bounds, version: str
) -> str:
    """Run Vela to its end and return what it printed; nothing of it survives this call."""
    try:
        ended = runner(arguments, work, bounds)
    except TimedOutError as error:
        what = f"did not finish within {bounds.seconds:g} s and was stopped"
        raise _failure(what, arguments, str(error), version) from error
    if not ended.status:
        return ended.output
    if bounds.memory_bytes is not None and ran_out_of_memory(ended.output):
        raise _failure(
            f"wanted more than the {memory_words(bounds.memory_bytes)} of memory it may have",
            arguments,
            ended.output,
            version,
            cure="is the model as large as you meant it to be? Raise vela.memory_mib if so",
        )
    raise _failure(_exit_words(ended.status), arguments, ended.output, version)


def _exit_words(status: int) -> str:
    if status > 0:
        return f"failed with exit code {status}"
    return f"crashed ({signal_name(-status)}), which it does on a damaged model file"


def _failure(
    what: str, arguments: Sequence[str], words: str, version: str, cure: str = _CURE
) -> CompilerError:
    command = (sys.executable, "-m", "ethosu.vela", *arguments)
    lines = [line for line in words.splitlines() if line.strip()]
    said = "\n".join(f"    {line}" for line in lines[-_TAIL_LINES:]) or "    (nothing)"
    return CompilerError(
        f"Vela {version} {what}\n  command: {shlex.join(command)}\n  it said:\n{said}", cure=cure
    )
