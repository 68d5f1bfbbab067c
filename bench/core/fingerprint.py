"""What code contributes to a cache key: if the code of a product changes, the product is remade.

There is no list of the sources that a product depends on. They are the import closure of its entry
points, including the packages around each module, because importing a module also runs their
`__init__`. A package's data files count with its `__init__`.

    entry points ──imports (grimp)──► closure ──digests──► fingerprint

The sources are read once, when a run begins, and every process of the run uses that reading. A
process may load its code before or after that moment. So a source that changes during the run could
be executed under the digest of another. Two checks prevent this: `read_source_tree` refuses a file
that changed after this process began to load our modules, and `SourceTree.require_unchanged`
refuses one that was touched since, even if it is the same again; see `bench.core.stamps`.
"""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bench
from bench.core.errors import BenchError
from bench.core.own_names import PACKAGES, PREFIX, ROOT, own_name, short_name
from bench.core.stamps import Stamp

if TYPE_CHECKING:
    import grimp

__all__ = ["EXEMPT", "SourceModule", "SourceTree", "read_source_tree"]

#: Modules that are left out of every fingerprint, with what they import, and the reasons.
EXEMPT: Mapping[str, str] = {
    "bench.core.errors": "classes of errors and how their text is made: code that raises one gives "
    "no product, and a new class is no reason to train every variant again",
    "bench.core.download": "however a file is downloaded, it is the one with the requested sha256",
}

#: The data files of a package. Other files in its folders do not matter.
_DATA = frozenset({".c", ".csv", ".elf", ".h", ".json", ".ld", ".sha256", ".toml"})

#: File systems take times from a clock that ticks every few milliseconds.
_TICK_NS = 20_000_000

_CURE = "run again, and leave the bench's own files alone while it runs"


@dataclass(frozen=True)
class SourceModule:
    """One of our modules: which of our modules it imports, and its files as they were read."""

    imports: tuple[str, ...]
    #: The hash of the names and contents of its files.
    sha256: str
    files: Mapping[Path, Stamp]


@dataclass(frozen=True)
class SourceTree:
    """All our modules at one moment, by their short names."""

    modules: Mapping[str, SourceModule]
    #: Fingerprints that were asked for: every cell asks for the same few.
    _known: dict[tuple[str, ...], str] = field(default_factory=dict, compare=False, repr=False)

    def closure(self, *entry_points: str) -> frozenset[str]:
        """The modules that run when `entry_points` run, without those in `EXEMPT`.

        Raises KeyError for a module that is not ours.
        """
        found: set[str] = set()
        waiting = [short_name(name) for name in entry_points]
        while waiting:
            name = waiting.pop()
            if name in found or name in EXEMPT:
                continue
            found.add(name)
            waiting += self.modules[name].imports
            package = name.rpartition(".")[0]
            if package:
                waiting.append(package)
        return frozenset(found)

    def fingerprint(self, *entry_points: str) -> str:
        """sha256 over the closure of `entry_points`."""
        if entry_points not in self._known:
            digest = hashlib.sha256()
            for name in sorted(self.closure(*entry_points)):
                digest.update(f"{name} {self.modules[name].sha256}\n".encode())
            self._known[entry_points] = digest.hexdigest()
        return self._known[entry_points]

    def require_unchanged(self, *entry_points: str) -> None:
        """Raise `BenchError` if a source in the closure of `entry_points` was touched since."""
        for name in sorted(self.closure(*entry_points)):
            for path, stamp in self.modules[name].files.items():
                try:
                    same = Stamp.of(path) == stamp
                except OSError:
                    same = False
                if not same:
                    raise BenchError(f"{path} was changed while the bench was running", cure=_CURE)

    def to_data(self) -> dict[str, Any]:
        """As plain values, for other processes of the run."""
        return {
            name: {
                "imports": list(module.imports),
                "sha256": module.sha256,
                "files": {str(path): asdict(stamp) for path, stamp in module.files.items()},
            }
            for name, module in self.modules.items()
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> SourceTree:
        """The inverse of `to_data`."""
        return cls(
            {
                name: SourceModule(
                    imports=tuple(module["imports"]),
                    sha256=module["sha256"],
                    files={Path(path): Stamp(**stamp) for path, stamp in module["files"].items()},
                )
                for name, module in data.items()
            }
        )


def read_source_tree() -> SourceTree:
    """The sources as they are now; takes a tenth of a second.

    Raises `BenchError` if a file cannot be read or parsed, or was changed after this process began
    to load our modules.
    """
    # Most processes get the tree from another and never read it.
    import grimp

    try:
        graph = grimp.build_graph(
            # Installed, all is inside of one package.
            *([PREFIX.removesuffix(".")] if PREFIX else PACKAGES),
            cache_dir=None,
            exclude_type_checking_imports=True,
        )
    except grimp.exceptions.SourceSyntaxError as error:
        raise BenchError(f"the bench's own source cannot be parsed: {error}") from error
    return SourceTree(
        {
            name: _read_module(_imports(graph, name), files)
            for package in PACKAGES
            for name, files in _walk(ROOT / package, package)
        }
    )


def _imports(graph: grimp.ImportGraph, name: str) -> tuple[str, ...]:
    found = graph.find_modules_directly_imported_by(own_name(name))
    return tuple(sorted(short_name(module) for module in found))


def _walk(directory: Path, package: str) -> Iterator[tuple[str, list[Path]]]:
    """`package`, which is in `directory`, and every module in it, each with its files."""
    entries = sorted(directory.iterdir())
    yield package, [directory / "__init__.py", *_data_files(entries)]
    for path in entries:
        if path.is_dir() and (path / "__init__.py").is_file():
            yield from _walk(path, f"{package}.{path.name}")
        elif path.suffix == ".py" and path.name != "__init__.py":
            yield f"{package}.{path.stem}", [path]


def _data_files(entries: Iterable[Path]) -> Iterator[Path]:
    for path in entries:
        if path.is_dir() and not (path / "__init__.py").is_file():
            yield from _data_files(sorted(path.iterdir()))
        elif path.suffix in _DATA:
            yield path


def _read_module(imports: tuple[str, ...], files: Iterable[Path]) -> SourceModule:
    digest = hashlib.sha256()
    stamps = {}
    for path in files:
        try:
            # First the stamp: a file that changes while it is read has a new one afterwards.
            stamps[path] = Stamp.of(path)
            content = path.read_bytes()
        except OSError as error:
            raise BenchError(
                f"the bench's own source {path} cannot be read: {error.strerror}",
                cure="install the bench again",
            ) from error
        if stamps[path].changed_ns > bench.LOADED_NS - _TICK_NS:
            raise _too_new(path, stamps[path].changed_ns)
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return SourceModule(imports, digest.hexdigest(), stamps)


def _too_new(path: Path, changed_ns: int) -> BenchError:
    if changed_ns > time.time_ns() + _TICK_NS:
        return BenchError(
            f"{path} was changed in the future, so it is unknown whether it is what runs here",
            cure=f"correct this machine's clock, then: touch {shlex.quote(str(path))}",
        )
    return BenchError(f"{path} was changed while the bench was starting", cure=_CURE)
