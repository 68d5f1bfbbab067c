"""The client of the builder process: builds variants without importing TensorFlow itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from bench.core import errors
from bench.core.errors import BenchError, BuildError
from models.messages import (
    BuildOrder,
    BuildRequest,
    BuildResult,
    Done,
    Failed,
    Progress,
    parse_message,
)
from models.process import WORKER_COMMAND, WorkerProcess

__all__ = ["VariantBuilder"]

#: Seconds one build may take by default: far more than any built-in workload needs, on full MNIST
#: and a busy machine too, so that only a hang runs into it.
_DEFAULT_TIMEOUT_S = 1800.0


class VariantBuilder:
    """Builds variants in a process of its own, started at the first request and kept.

    Use as a context manager; leaving it ends the process. For one thread at a time.
    """

    def __init__(
        self,
        *,
        timeout_s: float = _DEFAULT_TIMEOUT_S,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        """`timeout_s` is for one build; `command` runs what speaks the builder's protocol."""
        self._timeout_s = timeout_s
        self._command = command
        self._worker: WorkerProcess | None = None

    def __enter__(self) -> VariantBuilder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The builder process, or None while there is none."""
        return self._worker.pid if self._worker else None

    def close(self) -> None:
        """End the builder process, if there is one. May be called again."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def build(
        self,
        request: BuildRequest,
        out_dir: Path,
        on_progress: Callable[[Progress], None],
    ) -> BuildResult:
        """Make the variant in `out_dir`, an existing directory; see `models.builder.build`.

        When it raises, whatever it raises (an error of `on_progress` and KeyboardInterrupt too),
        the content of `out_dir` is worthless. The builder process has then been killed and
        reaped, unless it reported the failure itself and so is fit for the next request.

        Raises:
            BuildError: the build failed, or the process died, took too long or sent nonsense.
            DownloadError, PrerequisiteError, ModelError: as `models.builder.build`.
        """
        name = f"building {request.workload}-{request.variant}"
        if self._worker is None:
            self._worker = WorkerProcess(self._command)
        worker = self._worker
        try:
            order = BuildOrder(request=request, out_dir=out_dir.resolve())
            worker.send(order.model_dump_json().encode() + b"\n")
            outcome = self._follow(worker, on_progress)
        except BaseException as error:
            self._worker = None
            worker.kill()
            if isinstance(error, BuildError):
                raise BuildError(f"{name}: {error.what}", cure=error.cure) from error
            raise
        if isinstance(outcome, Done):
            return outcome.result
        raise _error_class(outcome.kind)(
            f"{name}: {outcome.what}{worker.log_tail()}", cure=outcome.cure
        )

    def _follow(
        self, worker: WorkerProcess, on_progress: Callable[[Progress], None]
    ) -> Done | Failed:
        deadline = time.monotonic() + self._timeout_s
        while True:
            line = worker.receive(deadline)
            try:
                message = parse_message(line)
            except ValidationError as error:
                raise BuildError(
                    f"the builder process sent what is no message: {line[:200]!r}"
                    f"{worker.log_tail()}"
                ) from error
            if not isinstance(message, Progress):
                return message
            on_progress(message)


def _error_class(kind: str) -> type[BenchError]:
    """The class of `bench.core.errors` called `kind`; BuildError for a name that is none."""
    found = getattr(errors, kind, None) if kind in errors.__all__ else None
    return found or BuildError
