"""The name of a product: its kind and everything that shaped it, hashed canonically."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from bench.core.errors import CacheError

__all__ = ["JSON", "KIND_PATTERN", "CacheKey", "canonical_json"]

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

#: A kind is also a directory name.
KIND_PATTERN = re.compile(r"[a-z_]+")

_CURE = "give the key only None, bool, int, float, str, lists and str-keyed mappings"


def _plain(value: object, where: str) -> Any:
    """`value` as plain JSON values, or a `CacheError` that names the place that is not JSON.

    Types are matched exactly. A subclass (an enum member, a NumPy float) could be printed in
    another way tomorrow, which would change the digest; so the caller must say what it means.
    """
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is str:
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise CacheError(f"cache key: {where} is not valid Unicode: {value!r}", cure=_CURE)
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise CacheError(f"cache key: {where} is {value!r}, which JSON lacks", cure=_CURE)
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        for name in value:
            if type(name) is not str:
                raise CacheError(f"cache key: {where} has the non-str name {name!r}", cure=_CURE)
        return {
            _plain(name, f"a name in {where}"): _plain(item, f"{where}.{name}")
            for name, item in value.items()
        }
    raise CacheError(
        f"cache key: {where} is a {type(value).__qualname__}, not JSON: {value!r}", cure=_CURE
    )


def canonical_json(value: JSON) -> str:
    """The one JSON text of `value`: sorted names, no spaces, shortest exact floats.

    Equal values give equal text, whatever the order of their mappings; tuples count as lists. `1`,
    `1.0` and `True` are three different values here (`1`, `1.0`, `true`), as are `0.0` and `-0.0`:
    Python's `==` would merge them, but code may treat them differently. A float is written by
    `repr`, the shortest text that reads back as the same double.

    Raises `CacheError` for NaN, infinities, lone surrogates, cycles and anything not JSON.
    """
    try:
        return json.dumps(
            _plain(value, "parameters"),
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
            allow_nan=False,
        )
    except RecursionError as error:
        raise CacheError("cache key: parameters nest too deeply", cure=_CURE) from error
    except ValueError as error:  # an int beyond Python's limit on printed digits
        raise CacheError(f"cache key: parameters: {error}", cure=_CURE) from error


@dataclass(frozen=True, init=False)
class CacheKey:
    """The name of a product. Immutable, hashable, picklable; equal if the digests are equal.

    `parameters` must hold everything that shapes the product: hashes of its inputs, its settings,
    the versions of the tools. What is left out is assumed not to matter.
    """

    #: What sort of product: `[a-z_]+`.
    kind: str
    #: The parameters as canonical JSON: a copy, so later changes to the mapping do not matter.
    canonical: str

    def __init__(self, kind: str, parameters: Mapping[str, JSON]) -> None:
        """Raises `CacheError` if `kind` is not a kind or `parameters` are not plain JSON."""
        if KIND_PATTERN.fullmatch(kind) is None:
            raise CacheError(
                f"cache key: {kind!r} is not a kind",
                cure=f"use lower-case letters and underscores ({KIND_PATTERN.pattern})",
            )
        if not isinstance(parameters, Mapping):
            raise CacheError("cache key: parameters are not a mapping", cure=_CURE)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "canonical", canonical_json(parameters))

    @property
    def parameters(self) -> dict[str, Any]:
        """A new copy of the parameters (tuples have become lists)."""
        copy: dict[str, Any] = json.loads(self.canonical)
        return copy

    @cached_property
    def digest(self) -> str:
        """sha256 (64 hex digits) of the canonical JSON of `{"kind": ..., "parameters": ...}`."""
        text = f'{{"kind":"{self.kind}","parameters":{self.canonical}}}'
        return hashlib.sha256(text.encode()).hexdigest()

    def __str__(self) -> str:
        """Short form for messages: `compiled 3f2a9c01d4e5`."""
        return f"{self.kind} {self.digest[:12]}"
