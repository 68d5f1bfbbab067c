"""The cache for those who only look: what is not there is not made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.cache import Entry
from bench.core.errors import CacheError
from bench.measuring.products import Product, ProductStore

__all__ = ["KeptProducts", "NotKeptError"]


class NotKeptError(CacheError):
    """The cache does not hold a product. Told to nobody: it is the answer to a question."""


class KeptProducts(ProductStore):
    """A `ProductStore` that makes nothing."""

    def obtain(self, product: Product, build: Callable[[Path], None]) -> Entry:
        """The product, if the cache has it. Raises `NotKeptError` if not; never calls `build`."""
        entry = self.find(product)
        if entry is None:
            raise NotKeptError(f"{product.name}: the cache does not hold it")
        return entry
