"""Compiling with Vela: its output is moved into place only when it is complete."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.compiler.failures import ended_badly, failure
from bench.compiler.installation import VelaInstallation, beside_the_bench
from bench.compiler.options import VelaOptions
from bench.compiler.report import VelaReport, debug_name, per_layer_name, read_report, summary_name
from bench.compiler.running import VelaRunner, run_alone
from bench.core.errors import ModelError
from bench.core.processes import Bounds, TimedOutError
from bench.core.schema import RecordModel

__all__ = ["COMPILE_BOUNDS", "CompiledModel", "compile_model"]

#: Far more than networks for an Ethos-U55 need: those of MLPerf Tiny take 0.5 s and 45 MiB.
COMPILE_BOUNDS = Bounds(seconds=600, memory_bytes=4 << 30)


class CompiledModel(RecordModel):
    """The result of a compile: the optimised `.tflite`, and what Vela said about it.

    It holds no path of this machine, so records can be compared across machines and survive a move
    of the cache: `file_name` is relative to the directory to which the compile wrote.
    """

    #: Name of Vela's `.tflite` in the output directory.
    file_name: str
    sha256: str
    size_bytes: int
    #: `config_file` is only its name; `config_sha256` identifies the file.
    options: VelaOptions
    vela_version: str
    #: The sha256 of the configuration file, Arm's own or the user's.
    config_sha256: str
    #: The command line, with placeholders such as `{model}` instead of machine paths.
    command: tuple[str, ...]
    report: VelaReport

    def path(self, directory: Path) -> Path:
        """The optimised `.tflite`, given the directory to which the compile wrote."""
        return directory / self.file_name

    @property
    def device_model_bytes(self) -> int:
        """What the device stores, in bytes: the size of Vela's `.tflite`.

        It holds the encoded weights, the scales and look-up tables, the command stream and the
        flatbuffer around them. We assume that this is what Arm's pruning and clustering article
        calls the device model size. A rebuild of its network needs 6.98 KiB besides the encoded
        weights. If you add them to the article's encoded sizes and round up to disk blocks of
        4 KiB, you get its 104, 40, 64 and 32 KiB. (The flash used, without stream and flatbuffer,
        does not give them.)
        """
        return self.size_bytes


def compile_model(
    model: Path,
    options: VelaOptions,
    output_dir: Path,
    *,
    bounds: Bounds = COMPILE_BOUNDS,
    vela: VelaInstallation | None = None,
    runner: VelaRunner | None = None,
) -> CompiledModel:
    """Compile the `.tflite` at `model` with Vela and read its report.

    Writes to `output_dir` (created if missing) `<model>_vela.tflite`, Vela's two CSV files, its
    debug database, and its output as `<model>_vela.log`. Earlier files with these names are
    replaced only when the compile succeeds. It is not an error if no operator of a network runs on
    the NPU: `report.npu_operators` is then 0. `vela` None is that beside the bench. `runner`, which
    must be of `vela`, decides how Vela's process is started; it does not change the result.

    Raises `ConfigError` (options), `ModelError` (no such file), `PrerequisiteError` (no
    Vela) and `CompilerError` (Vela failed, took more time or memory than `bounds`, or wrote
    something unreadable).
    """
    vela = vela or beside_the_bench()
    options.check(vela)
    if not model.is_file():
        raise ModelError(f"there is no model file {model}", cure="check the path")
    output_dir.mkdir(parents=True, exist_ok=True)
    # A directory of its own, so that everything found there was written by this compile.
    with tempfile.TemporaryDirectory(prefix=".vela-", dir=output_dir) as scratch:
        work = Path(scratch).resolve()
        stem = model.stem
        arguments = options.arguments(str(model.resolve()), str(work))
        words = _run(runner or partial(run_alone, vela=vela), arguments, work, bounds, vela)
        optimised = work / f"{stem}_vela.tflite"
        if not optimised.is_file() or optimised.stat().st_size == 0:
            raise failure("reported success but wrote no model", arguments, words, vela)
        report = read_report(work, stem, options.system_config, vela.version)
        log = work / f"{stem}_vela.log"
        log.write_text(words, encoding="utf-8")
        database = work / debug_name(stem)
        if not database.is_file():
            raise failure("reported success but no debug database", arguments, words, vela)
        _forget_places(database, work, model.resolve().parent)
        content = optimised.read_bytes()
        compiled = CompiledModel(
            file_name=optimised.name,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            options=_portable(options),
            vela_version=vela.version,
            config_sha256=options.config_sha256(vela),
            command=options.recorded_command(),
            report=report,
        )
        # The model comes last, so that its report is there whenever the model is.
        for name in (
            summary_name(stem, options.system_config),
            per_layer_name(stem),
            database.name,
            log.name,
            optimised.name,
        ):
            (work / name).replace(output_dir / name)
    return compiled


def _forget_places(database: Path, *places: Path) -> None:
    """Remove the directories of this machine from the head of a debug database."""
    head, table, tables = database.read_bytes().partition(b"<table")
    for place in places:
        head = head.replace(f'"{place}/'.encode(), b'"')
    database.write_bytes(head + table + tables)


def _portable(options: VelaOptions) -> VelaOptions:
    if options.config_file is None:
        return options
    return options.model_copy(update={"config_file": Path(options.config_file.name)})


def _run(
    runner: VelaRunner,
    arguments: Sequence[str],
    work: Path,
    bounds: Bounds,
    vela: VelaInstallation,
) -> str:
    """Run Vela to its end and return its output; nothing of it survives this call."""
    try:
        ended = runner(arguments, work, bounds)
    except TimedOutError as error:
        what = f"did not finish within {bounds.seconds:g} s and was stopped"
        raise failure(what, arguments, str(error), vela) from error
    if ended.status:
        raise ended_badly(ended.status, ended.output, arguments, bounds, vela)
    return ended.output
