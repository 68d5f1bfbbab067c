"""The content-addressed artefact cache: every product is made once and stored once.

A product (a trained variant, a compiled model, a measurement) is named by a `CacheKey`, the
sha256 of its kind and of every parameter, input hash and tool version that shaped it. The
first `ArtefactCache.get_or_build` for a key makes the product, every later one reads it.

Promises, and what they rest on:

- *Nothing is made twice at once.* One lock file a key, held by `flock` while building.
- *Nothing kept is false.* An entry is checked whenever it is handed out, its manifest and its
  files against their sha256; a damaged one is moved aside and built anew.
- *Nothing half-written bears a real name.* A build happens in a private directory on the same
  file system, is flushed to the disk (files, directories), then renamed into place.
- *A killed process leaves no lock behind.* The kernel drops `flock` with the process; the
  directory it was building in is recognised as dead because its key's lock is free.

The package works with paths, JSON and bytes. It knows no models, compilers or targets.

File system: the root needs `flock` and atomic rename. Local Linux and macOS file systems give
both. On a network file system `flock` must hold *between hosts*: NFS v4, or v3 with a lock
manager and without `nolock`/`local_lock=flock`; CephFS; Lustre mounted with `-o flock`. A file
system that has no `flock` is refused with a `CacheError`; one that pretends (`nolock`) cannot
be told apart, so there give each host its own root through `BENCH_CACHE`.
"""

from bench.cache.collecting import GcReport
from bench.cache.key import JSON, CacheKey
from bench.cache.locks import Holder, LockInfo
from bench.cache.manifest import FileRecord, Manifest
from bench.cache.root import default_root
from bench.cache.store import ArtefactCache, Entry
from bench.cache.sweeping import SweepReport
from bench.cache.usage import Stats, Usage
from bench.cache.verification import Problem, ProblemKind

__all__ = [
    "JSON",
    "ArtefactCache",
    "CacheKey",
    "Entry",
    "FileRecord",
    "GcReport",
    "Holder",
    "LockInfo",
    "Manifest",
    "Problem",
    "ProblemKind",
    "Stats",
    "SweepReport",
    "Usage",
    "default_root",
]
