"""The content-addressed artefact cache: every product is made once and stored once.

A product (a trained variant, a compiled model, a measurement) is named by a `CacheKey`, the sha256
of its kind and of every parameter, input hash and tool version that shaped it. The first
`ArtefactCache.get_or_build` for a key makes the product, and every later one reads it.

The cache makes these promises:

- *Nothing is made twice at once.* There is one lock file per key, held by `flock` while building.
- *Nothing in the cache is false.* Whenever an entry is returned, its manifest and its files are
  checked against their sha256. A damaged entry is moved aside and built again.
- *Nothing half-written has a real name.* A build happens in a private directory on the same file
  system, is flushed to the disk (files, directories), and then renamed into place.
- *A killed process leaves no lock behind.* The kernel releases `flock` with the process. The
  directory in which the process was building is recognised as dead, because its key's lock is free.

The package works with paths, JSON and bytes. It knows no models, compilers or targets.

The file system of the root needs `flock` and atomic rename. Local Linux and macOS file systems have
both. On a network file system, `flock` must work *between hosts*: NFS v4, or v3 with a lock manager
and without `nolock`/`local_lock=flock`; CephFS; Lustre mounted with `-o flock`. A file system
without `flock` is refused with a `CacheError`. One that only pretends to have it (`nolock`) cannot
be recognised, so give each host its own root there, with `BENCH_CACHE`.
"""

from bench.cache.collecting import GcReport
from bench.cache.key import JSON, CacheKey
from bench.cache.locks import Holder, LockInfo
from bench.cache.manifest import FileRecord, Manifest
from bench.cache.remote.reading_through import RemoteCache
from bench.cache.remote.source import RemoteError, Source
from bench.cache.remote.store import RemoteStore, open_store
from bench.cache.root import default_remote, default_root
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
    "RemoteCache",
    "RemoteError",
    "RemoteStore",
    "Source",
    "Stats",
    "SweepReport",
    "Usage",
    "default_remote",
    "default_root",
    "open_store",
]
