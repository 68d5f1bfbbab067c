"""Mutations of a parsed document (TOML, JSON): what is said, where, how often and of which kind."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["mutate_document"]

Random = np.random.Generator
#: A table or array of the document, and a key or place in it.
_Place = tuple[Any, Any]

_EDGES: tuple[Any, ...] = (
    *(0, 1, -1, 2, 255, 1 << 31, -(1 << 31), (1 << 63) - 1, -(1 << 63), 1 << 64, 10**400),
    *(0.0, -0.0, 0.5, 1e-300, 1e308, -1e308, float("inf"), float("-inf"), float("nan")),
    *(True, False, "", " ", ".", "..", "/", "~", "~nosuchuser/x", "-", "a-b", "*", "default"),
    *("base", "sim", "vela", "fvp", "mps3", "Sram_Only", "accuracy", "npu_cycles", "$(id)", "a\nb"),
    *("\x00", "\x1b[2J", "\u202e", "\ufeff", "\uffff", "\udc80", "ü" * 50, "x" * 5000),
    *("file.py:function", "file:///etc/passwd", "https://user:pass@host/x", "http://[", "a/../b"),
    *((), {}, (1,), ("",), {"": 0}, {"a": {"b": {}}}),
)


def mutate_document(document: dict[str, Any], random: Random) -> tuple[str, dict[str, Any]]:
    """A copy of `document`, changed in one to four places; and what was done."""
    changed = copy.deepcopy(document)
    done = []
    for _ in range(int(min(random.geometric(0.5), 4))):
        places = list(_places(changed))
        if not places:
            break
        owner, key = _one(random, places)
        mutation = _one(random, _MUTATIONS)
        mutation(owner, key, places, random)
        done.append(f"{mutation.__name__.lstrip('_')} {str(key)[:40]!r}")
    return "+".join(done) or "nothing", changed


def _places(node: Any) -> Iterator[_Place]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(items):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _one(random: Random, items: Any) -> Any:
    return items[int(random.integers(len(items)))]


def _plain(value: Any) -> Any:
    """An edge as a document has it: its own, with lists for tuples."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return copy.deepcopy(value)


def _replace(owner: Any, key: Any, places: list[_Place], random: Random) -> None:
    owner[key] = _plain(_one(random, _EDGES))


def _delete(owner: Any, key: Any, places: list[_Place], random: Random) -> None:
    del owner[key]


def _transplant(owner: Any, key: Any, places: list[_Place], random: Random) -> None:
    """What stands elsewhere, here."""
    other, place = _one(random, places)
    owner[key] = copy.deepcopy(other[place])


def _number(owner: Any, key: Any, places: list[_Place], random: Random) -> None:
    """The same kind of number, a little or much off."""
    value = owner[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        owner[key] = int(random.integers(-3, 300))
    else:
        owner[key] = type(value)(value * float(_one(random, (-1, 0, 0.5, 2, 1e6))))


def _letter(owner: Any, key: Any, places: list[_Place], random: Random) -> None:
    """A letter more, less or other, in a value or a key."""
    text = str(key) if random.random() < 0.5 or not isinstance(owner[key], str) else owner[key]
    at = int(random.integers(len(text) + 1))
    odd = str(_one(random, ("", "_", "-", ".", "é", "\n", "\x00", "[", "\u2028", "x" * 300)))
    changed = text[:at] + odd + text[at + int(random.integers(2)) :]
    if text is owner[key]:
        owner[key] = changed
    elif isinstance(owner, dict):
        owner[changed] = owner.pop(key)


def _add(owner: Any, key: Any, places: list[_Place], random: Random) -> None:
    """A key of another table, or one nobody knows."""
    _, other = _one(random, places)
    if isinstance(owner, dict):
        owner[str(other)] = _plain(_one(random, _EDGES))
    else:
        owner.insert(0, _plain(_one(random, _EDGES)))


def _wrap(owner: Any, key: Any, places: list[_Place], random: Random) -> None:
    for _ in range(int(_one(random, (1, 2, 31, 33, 200)))):
        owner[key] = [owner[key]] if random.random() < 0.5 else {"a": owner[key]}


def _repeat(owner: Any, key: Any, places: list[_Place], random: Random) -> None:
    """An array many times as long, or one made of a value that was alone."""
    value = owner[key] if isinstance(owner[key], list) and owner[key] else [owner[key]]
    count = int(_one(random, (2, 2, 100, 3000)))
    if len(value) * count < 10_000:
        owner[key] = value * count


def _enumerate(owner: Any, key: Any, places: list[_Place], random: Random) -> None:
    """Many different names, each as good as the next."""
    owner[key] = [f"name_{number}" for number in range(int(_one(random, (3, 100, 3000))))]


_MUTATIONS: tuple[Callable[[Any, Any, list[_Place], Random], None], ...] = (
    *(_replace, _replace, _replace, _delete, _transplant, _number, _number, _letter),
    *(_add, _wrap, _repeat, _enumerate),
)
