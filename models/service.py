"""The client of the builder process: builds variants without importing TensorFlow itself."""

from __future__ import annotations

import re
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from bench.core import errors
from bench.core.errors import BenchError, BuildError
from bench.core.processes import Bounds
from bench.core.processes.children import python_command
from bench.core.processes.closing import Closing
from bench.core.processes.servers import Conversation, End, LostError, Server
from models.messages import (
    BuildOrder,
    BuildRequest,
    BuildResult,
    DataOrder,
    DataSeen,
    Done,
    Failed,
    Progress,
    Surveyed,
    SurveyOrder,
    parse_message,
)
from models.reading.facts import DataFacts, ModelFacts
from models.reading.origin import Origin
from models.reading.splits import InputSpec

__all__ = ["BUILD_BOUNDS", "VariantBuilder"]

#: Bounds for one build: far more than any built-in workload needs, even on full MNIST and a busy
#: machine, so that only a hang or a leak reaches them.
BUILD_BOUNDS = Bounds(seconds=1800, memory_bytes=16 << 30)

#: It uses this process's own Python, and so the same libraries.
_BUILDER = python_command(f"from {__package__}.worker import main\nmain()")


#: Called with each message of progress.
OnProgress = Callable[[Progress], None]

_AnswerT = TypeVar("_AnswerT", Done, Surveyed, DataSeen)


class VariantBuilder(Closing):
    """Builds variants in a process of its own, started at the first request and kept.

    The process serves one recipe of a user; another recipe gets another process.

    Use as a context manager; leaving it ends the process. Threads wait for one another.
    """

    def __init__(
        self, *, bounds: Bounds = BUILD_BOUNDS, command: Sequence[str] | None = None
    ) -> None:
        """`bounds` are for one build; `command` runs a program with the builder's protocol."""
        self._bounds = bounds
        self._server = Server(
            _BUILDER if command is None else command,
            # The hash seed decides the order of sets, and so perhaps what a library writes.
            environment={"PYTHONHASHSEED": "0"},
        )
        #: The user's recipe that the process has loaded, if any.
        self._recipe = ""
        self._asked = threading.Lock()
        self._stopped = False

    @property
    def pid(self) -> int | None:
        """The builder process, or None while there is none."""
        return self._server.pid

    def close(self) -> None:
        """End the builder process, if there is one. May be called again."""
        self._server.close()

    def stop(self) -> None:
        """Build nothing more: what another thread is waiting for fails with a `BuildError`."""
        self._stopped = True
        self._server.kill()

    def survey(self, origin: Origin, on_progress: OnProgress) -> ModelFacts:
        """What the network of `origin` is. Raises like `build`."""
        return self._ask(
            Surveyed,
            f"reading {origin.name}",
            origin,
            lambda scratch: SurveyOrder(origin=origin, scratch_dir=scratch),
            on_progress,
        ).facts

    def data(
        self,
        origin: Origin,
        inputs: Sequence[InputSpec],
        out_dir: Path | None,
        on_progress: OnProgress,
    ) -> DataFacts:
        """What the data of `origin` is, for a network with these `inputs`.

        With `out_dir`, an existing directory, the splits are stored in it. Raises like `build`.
        """
        return self._ask(
            DataSeen,
            f"reading the data of {origin.name}",
            origin,
            lambda scratch: DataOrder(
                origin=origin,
                inputs=tuple(inputs),
                out_dir=None if out_dir is None else out_dir.resolve(),
                scratch_dir=scratch,
            ),
            on_progress,
            out_dir,
        ).facts

    def build(
        self,
        request: BuildRequest,
        out_dir: Path,
        on_progress: OnProgress,
    ) -> BuildResult:
        """Make the variant in the existing directory `out_dir`; see `models.builder.build`.

        When it raises anything (even an error of `on_progress` or KeyboardInterrupt), the contents
        of `out_dir` are worthless. The builder process has then been killed and reaped, unless it
        reported the failure itself and so can take the next request.

        Raises:
            BuildError: the build failed, or the process died, took too much time or memory, or
                sent nonsense.
            DownloadError, PrerequisiteError, ModelError: as for `models.builder.build`.
        """
        directory = out_dir.resolve()
        return self._ask(
            Done,
            f"building {request.workload}-{request.variant}",
            request.origin,
            lambda scratch: BuildOrder(request=request, out_dir=directory, scratch_dir=scratch),
            on_progress,
            directory,
        ).result

    def _ask(
        self,
        wanted: type[_AnswerT],
        name: str,
        origin: Origin,
        order: Callable[[Path], BuildOrder | SurveyOrder | DataOrder],
        on_progress: OnProgress,
        directory: Path | None = None,
    ) -> _AnswerT:
        """The answer to an order, which is made when its scratch directory is known."""
        recipe = "" if origin.is_built_in else origin.model_dump_json()
        try:
            with self._asked:
                if self._stopped:
                    raise BuildError(f"{name}: the run is ending")
                if recipe != self._recipe:
                    # A recipe may leave anything in its process, such as classes that Keras knows.
                    self.close()
                self._recipe = recipe
                with (
                    # If the bench is killed, the cache removes this with the unfinished entry.
                    tempfile.TemporaryDirectory(prefix=".scratch-", dir=directory) as scratch,
                    self._server.conversation(self._bounds.memory_bytes) as builder,
                ):
                    message = order(Path(scratch)).model_dump_json().encode()
                    outcome = self._follow(builder, message, on_progress)
                    log = _log_tail(builder.words)
        except LostError as error:
            raise self._lost(name, error) from error
        except _NonsenseError as error:
            raise BuildError(f"{name}: {error}") from error
        if isinstance(outcome, Failed):
            words = f"{name}: {outcome.what}{log if outcome.unexpected else ''}"
            raise _error_class(outcome.kind)(words, cure=outcome.cure)
        if not isinstance(outcome, wanted):
            raise BuildError(f"{name}: the builder process answered another order")
        return outcome

    def _follow(
        self, builder: Conversation, order: bytes, on_progress: OnProgress
    ) -> Done | Surveyed | DataSeen | Failed:
        deadline = time.monotonic() + self._bounds.seconds
        builder.send(order, self._bounds.seconds)
        while True:
            content = builder.receive(deadline - time.monotonic())
            try:
                message = parse_message(content)
            except ValidationError as error:
                raise _NonsenseError(
                    f"the builder process sent something that is not a message: {content[:200]!r}"
                    f"{_log_tail(builder.words)}"
                ) from error
            if not isinstance(message, Progress):
                return message
            on_progress(message)

    def _lost(self, name: str, error: LostError) -> BuildError:
        how, cure = error.how, ""
        if error.end is End.TIME:
            how = f"did not finish within {self._bounds.seconds:g} s and was ended"
            cure = "let it do less, or raise `minutes` under [training]"
        elif error.end is End.MEMORY:
            cure = "give data as a function that returns an iterator, or raise `memory_mib` under "
            cure += "[training]"
        elif error.end is End.OUTSIDE:
            cure = "if memory ran out, run fewer workers at a time"
        return BuildError(f"{name}: the builder process {how}{_log_tail(error.words)}", cure=cure)


#: What TensorFlow says of itself at every start: where it finds no GPU, and when it logs to where.
_OF_TENSORFLOW = re.compile(
    r"[IWE]\d{4} \d\d:\d\d:[\d.]+ .*\.(cc|h):\d+\]|WARNING: All log messages"
)


class _NonsenseError(Exception):
    """The builder sent something that is not a message."""


def _log_tail(words: str) -> str:
    """The last lines that the process logged, as a paragraph for the end of an error's text."""
    told = [line for line in words.splitlines() if not _OF_TENSORFLOW.match(line)]
    if not told:
        return "\n  (the builder's log is empty)"
    lines = "\n".join(f"    | {line}" for line in told)
    return f"\n  the end of the builder's log:\n{lines}"


def _error_class(kind: str) -> type[BenchError]:
    """The class of `bench.core.errors` called `kind`; BuildError if there is no such class."""
    found = getattr(errors, kind, None) if kind in errors.__all__ else None
    return found or BuildError
