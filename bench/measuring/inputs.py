"""The files that the user names, copied into the cache before they are used.

A file can be replaced during a run, and restored. So what was checked and hashed when the run began
is stored under its hash. From then on the run reads only this copy, never the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bench.cache import ArtefactCache, CacheKey
from bench.core.errors import ModelError
from bench.core.files import open_regular
from bench.plan.config import BenchConfig, CustomMetric, TrainedWorkload, Workload

__all__ = ["keep_inputs", "sha256_of", "with_files"]

_CHUNK = 1 << 20


def keep_inputs(
    config: BenchConfig, digests: Mapping[Path, str], cache: ArtefactCache
) -> BenchConfig:
    """`config` with copies in the cache in place of the files in `digests` (file -> its sha256).

    A copy has the name of its file, which is part of records. Files that are not in `digests` are
    not copied, because no planned cell reads them.

    Raises `ModelError` if a file is no longer the one that was hashed.
    """

    def kept(path: Path) -> Path:
        return _keep(path, digests[path], cache) if path in digests else path

    return with_files(config, kept)


def with_files(config: BenchConfig, place: Callable[[Path], Path]) -> BenchConfig:
    """`config` with `place(path)` instead of each file that the user named."""

    def kept(path: Path | None) -> Path | None:
        return None if path is None else place(path)

    workloads = {name: _kept(workload, kept) for name, workload in config.workloads.items()}
    locks = {version: kept(path) for version, path in config.vela.locks.items()}
    vela = config.vela.model_copy(
        update={"config_file": kept(config.vela.config_file), "locks": locks}
    )
    return config.model_copy(update={"workloads": workloads, "vela": vela})


def _kept(workload: Workload, kept: Callable[[Path | None], Path | None]) -> Workload:
    """`workload` with its files replaced by what `kept` gives for them."""
    files = ("keras", "data") if isinstance(workload, TrainedWorkload) else ("model", "dataset")
    update: dict[str, object] = {name: kept(getattr(workload, name)) for name in files}
    if isinstance(workload.metric, CustomMetric):
        file = kept(workload.metric.file)
        update["metric"] = workload.metric.model_copy(update={"file": file})
    if isinstance(workload, TrainedWorkload):
        update["frozen"] = {
            variant: one.model_copy(update={"model": kept(one.model)})
            for variant, one in workload.frozen.items()
        }
    return workload.model_copy(update=update)


def sha256_of(path: Path) -> str:
    """The sha256 of a file that the user named. Raises `ModelError` if it cannot be read."""
    digest = hashlib.sha256()
    for piece in _pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def _keep(path: Path, sha256: str, cache: ArtefactCache) -> Path:
    def build(directory: Path) -> None:
        digest = hashlib.sha256()
        with (directory / path.name).open("xb") as copy:
            for piece in _pieces(path):
                digest.update(piece)
                copy.write(piece)
        if digest.hexdigest() != sha256:
            raise ModelError(f"{path}: was changed while the bench was starting", cure="run again")

    entry = cache.get_or_build(CacheKey("input", {"name": path.name, "sha256": sha256}), build)
    return entry.file(path.name)


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with open_regular(path) as stream:
            while piece := stream.read(_CHUNK):
                yield piece
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read: {error.strerror}", cure="correct the path, or give access"
        ) from error
