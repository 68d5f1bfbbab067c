"""Products in the cache, each under what shaped it: inputs, settings, tools, code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.cache import JSON, ArtefactCache, CacheKey, Entry
from bench.core.fingerprint import SourceTree
from bench.measuring.progress import Sink, waiting

__all__ = ["NOT_SHARED", "Product", "ProductStore"]

#: Kinds that are not uploaded to other machines: copies of files that each run has at hand, and
#: programs, which are installed by the hashes of their lock file.
NOT_SHARED = frozenset({"input", "vela_installation"})


@dataclass(frozen=True)
class Product:
    """The name of a product in the cache, and which of our code makes it."""

    key: CacheKey
    #: For people.
    name: str
    #: Entry points of the code that shapes it.
    code: tuple[str, ...]


@dataclass(frozen=True)
class ProductStore:
    """The artefact cache, and the code of this run."""

    cache: ArtefactCache
    code: SourceTree
    sink: Sink

    def product(
        self, kind: str, name: str, parameters: Mapping[str, JSON], code: tuple[str, ...]
    ) -> Product:
        """A product of `parameters`, shaped by all code that the entry points `code` run."""
        fingerprint = self.code.fingerprint(*code)
        return Product(CacheKey(kind, {**parameters, "code": fingerprint}), name, code)

    def obtain(self, product: Product, build: Callable[[Path], None]) -> Entry:
        """The product from the cache, made by `build` if it is not there; see `ArtefactCache`.

        Raises `BenchError` and stores nothing if its code was changed before it was made.
        """

        def make(directory: Path) -> None:
            build(directory)
            self.code.require_unchanged(*product.code)

        return self.cache.get_or_build(product.key, make, on_wait=waiting(product.name, self.sink))

    def find(self, product: Product) -> Entry | None:
        """The product, if the cache has it, or can get it from the remote one."""
        return self.cache.fetch(product.key)
