"""A run's files, read with distrust, because disks fail and people copy, cut and edit files.

If one file cannot be read, only its own contents are lost. The reader gets what there is, and the
name and the fault of every other file, so that each report can mention them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, NoReturn, TypeVar

from pydantic import ValidationError

from bench.core.files import read_regular
from bench.core.plain_json import has_long_number, read_plain
from bench.core.processes.garbage import no_collections
from bench.core.schema import RecordModel
from bench.core.text import one_line

__all__ = [
    "Readings",
    "Unreadable",
    "read_folder",
    "read_lines",
    "read_named",
    "read_record",
    "require_strict",
    "strict_json",
]

_Model = TypeVar("_Model", bound=RecordModel)
_Item = TypeVar("_Item")

#: No file of a run is near this size, in bytes.
_MOST: Final = 1 << 28
#: Integers have 64 bits, whatever their source; more digits are not converted.
_BOUND: Final = 1 << 63


@dataclass(frozen=True)
class Unreadable:
    """A file of a run, or a line of one, that cannot be read."""

    #: The file, relative to the run's directory.
    name: str
    reason: str

    @classmethod
    def of(cls, name: str, error: OSError | ValueError) -> Unreadable:
        """The file `name` of a run, which could not be read because of `error`."""
        return cls(name, str(error.strerror if isinstance(error, OSError) else error))

    @property
    def subject(self) -> str:
        """The id of the cell or group that the file is named after."""
        return Path(self.name).stem

    def __str__(self) -> str:
        return one_line(f"{self.name} cannot be read: {self.reason}")


@dataclass(frozen=True)
class Readings(Generic[_Item]):
    """What could be read, and what could not."""

    found: tuple[_Item, ...]
    unreadable: tuple[Unreadable, ...] = ()


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _integer(text: str) -> int:
    if len(text) > len(str(-_BOUND)) or not -_BOUND <= int(text) < _BOUND:
        raise ValueError(f"the number {text[:20]}... needs more than 64 bits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text[:20])


def strict_json(text: str) -> Any:
    """The JSON value in `text`, as in the standard: finite numbers, and integers of 64 bits.

    Raises `ValueError`, which says in one line what is wrong.
    """
    # Most numbers are integers, and Python's own conversion of them is several times faster.
    integer = _integer if has_long_number(text.encode("utf-8", "surrogatepass")) else None
    try:
        return json.loads(text, parse_constant=_no_number, parse_int=integer, parse_float=_float)
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def require_strict(written: str) -> None:
    """Raise `ValueError` if `strict_json` would refuse this text, which pydantic has written.

    Such a text is JSON, except for the three constants. It is parsed only if it may have one, or a
    long number: parsing takes longer than writing.
    """
    if "NaN" in written or "Infinity" in written or has_long_number(written.encode("utf-8")):
        strict_json(written)


def _parse(content: bytes, model: type[_Model]) -> _Model:
    plain = read_plain(content, model)
    if plain is not None:
        return plain
    try:
        return model.model_validate(strict_json(content.decode("utf-8")))
    except ValidationError as error:
        raise ValueError(_first_fault(error)) from None


def _first_fault(error: ValidationError) -> str:
    faults = error.errors(include_url=False)
    where = ".".join(str(part) for part in faults[0]["loc"])
    more = f" (and {len(faults) - 1} more faults)" if len(faults) > 1 else ""
    return f"{where}: {faults[0]['msg']}{more}" if where else f"{faults[0]['msg']}{more}"


def read_record(path: Path, model: type[_Model]) -> _Model:
    """The record in the file at `path`. Raises `OSError`, or `ValueError` in one line."""
    return _parse(read_regular(path, _MOST), model)


def read_named(path: Path, model: type[_Model], id_of: Callable[[_Model], str]) -> _Model:
    """The same, if it belongs to the cell or group that the file is named after."""
    record = read_record(path, model)
    if id_of(record) != path.stem:
        raise ValueError(f"it is that of {id_of(record)!r}")
    return record


def read_folder(
    run: Path,
    folder: str,
    model: type[_Model],
    id_of: Callable[[_Model], str],
    keep: Callable[[_Model], _Model] | None = None,
) -> Readings[_Model]:
    """The records in `folder` of a run, by name. See `read_named`.

    `keep` may give each another form when it has been read, in which it takes less memory.
    """
    try:
        paths = sorted(path for path in (run / folder).iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return Readings(())
    except OSError as error:
        return Readings((), (Unreadable.of(folder, error),))
    found: list[_Model] = []
    unreadable: list[Unreadable] = []
    with no_collections():
        for path in paths:
            try:
                one = read_named(path, model, id_of)
                found.append(one if keep is None else keep(one))
            except (OSError, ValueError) as error:
                unreadable.append(Unreadable.of(f"{folder}/{path.name}", error))
    return Readings(tuple(found), tuple(unreadable))


def read_lines(run: Path, name: str, model: type[_Model]) -> Readings[_Model]:
    """The records in the file `name` of a run, one per line.

    A last line without an end is left out: somebody is writing it, or was when the disk became
    full.
    """
    try:
        content = read_regular(run / name, _MOST)
    except FileNotFoundError:
        return Readings(())
    except OSError as error:
        return Readings((), (Unreadable.of(name, error),))
    return _parsed(content[: content.rfind(b"\n") + 1].splitlines(), name, model)


def _parsed(lines: Iterable[bytes], name: str, model: type[_Model]) -> Readings[_Model]:
    found: list[_Model] = []
    unreadable: list[Unreadable] = []
    with no_collections():
        for number, line in enumerate(lines, start=1):
            try:
                found.append(_parse(line, model))
            except ValueError as error:
                unreadable.append(Unreadable(name, f"line {number}: {error}"))
    return Readings(tuple(found), tuple(unreadable))
