"""Finds second homes of the hardware's facts: constants and formulas of `targets.ethos_u55` that
stand in another module as well.

A constant at the top of a module is a copy if

* it has the name of a fact, or of a PMU event, with or without an underscore in front,
* it is a literal with a fact's value, and the two names share a word that says something,
* it is a literal table, or an odd number, with a fact's value, whatever its name.

Anywhere in a module these are copies: a literal list of the accelerators' MACs or of the bursts, a
dictionary keyed by MACs or their logarithms, an event beside its number, and the formula of
`window_extent`.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log2
from pathlib import Path

from targets.ethos_u55.accelerators import MAC_COUNTS
from targets.ethos_u55.pmu_events import EVENT_NUMBERS
from targets.ethos_u55.ports import BURSTS

__all__ = ["Copy", "copies", "facts"]

HOME = "targets.ethos_u55"
#: Words that many names have, whatever they stand for.
_COMMON_WORDS = frozenset({"BYTE", "BIT", "MAX", "COUNT", "NUMBER", "SIZE"})
#: Below this, numbers are too common to say anything alone; and so are powers of two.
_TELLING = 512
#: A list of MACs has perhaps a zero beside them; a longer one is of something else.
_LONGEST = 6
#: What the events of the two ports have in common, and of the others all.
_EVENT_TAILS = {name.removeprefix("AXI0_").removeprefix("AXI1_") for name in EVENT_NUMBERS}


_COLLECTIONS = frozenset({"MappingProxyType", "dict", "frozenset", "list", "set", "tuple"})
_PARTS_OF_LITERALS = (
    *(ast.Constant, ast.Tuple, ast.List, ast.Set, ast.Dict),
    *(ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context),
)


@dataclass(frozen=True)
class Copy:
    """A second home of a fact."""

    line: int
    #: The constant's; empty where it is a part of an expression.
    name: str
    fact: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.name or 'this'} is {self.fact} again"


@dataclass(frozen=True)
class _Value:
    """A literal, comparable whatever kind of collection holds it."""

    content: object

    @classmethod
    def of(cls, value: object) -> _Value:
        if isinstance(value, Mapping):
            return cls(frozenset((cls.of(key), cls.of(item)) for key, item in value.items()))
        if isinstance(value, (tuple, list)):
            return cls(tuple(cls.of(item) for item in value))
        if isinstance(value, (set, frozenset)):
            return cls(frozenset(cls.of(item) for item in value))
        return cls(int(value) if isinstance(value, int) else value)

    @property
    def telling(self) -> bool:
        """Whether nothing else is likely to have this value."""
        if isinstance(self.content, int):
            return self.content > _TELLING and self.content & (self.content - 1) != 0
        return isinstance(self.content, (tuple, frozenset)) and len(self.content) > 2


def facts() -> dict[str, _Value]:
    """Every constant of `targets.ethos_u55`, the private ones as well, by its name."""
    found: dict[str, _Value] = {}
    package = importlib.import_module(HOME)
    for path in sorted(Path(next(iter(package.__path__))).glob("[!_]*.py")):
        module = importlib.import_module(f"{HOME}.{path.stem}")
        for name, _ in _constants(ast.parse(path.read_text(encoding="utf-8"))):
            value = getattr(module, name)
            if not isinstance(value, str):
                found[name] = _Value.of(value)
    return found


def copies(source: str, known: Mapping[str, _Value]) -> Iterator[Copy]:
    """The copies in the text of a module."""
    tree = ast.parse(source)
    for name, node in _constants(tree):
        fact = _fact_of(name.lstrip("_"), node, known)
        if fact is not None:
            yield Copy(node.lineno, name, fact)
    for child in ast.walk(tree):
        if isinstance(child, ast.expr):
            fact = _fact_anywhere(child)
            if fact is not None:
                yield Copy(child.lineno, "", fact)


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The constants assigned at the top of a module, with what is assigned to each."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        else:
            continue
        if statement.value is None:
            continue
        for target in targets:
            yield from _assigned(target, statement.value)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name) and target.id.isupper():
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its in zip(target.elts, value.elts, strict=True):
            yield from _assigned(one, its)


def _fact_of(name: str, node: ast.expr, known: Mapping[str, _Value]) -> str | None:
    if name in known:
        return name
    literal = _literal(node)
    if literal is None:
        return None
    if name in EVENT_NUMBERS or name in _EVENT_TAILS:
        return "EVENT_NUMBERS"
    words = _words(name)
    for fact, value in known.items():
        if value == literal and (value.telling or words & _words(fact)):
            return fact
    return None


def _words(name: str) -> set[str]:
    return {word.removesuffix("S") for word in name.strip("_").split("_")} - _COMMON_WORDS


def _literal(node: ast.expr) -> _Value | None:
    """The value of an expression of constants; a `frozenset(...)` or the like is what it holds."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[content]) if name in _COLLECTIONS:
            return _literal(content)
    if not all(isinstance(part, _PARTS_OF_LITERALS) for part in ast.walk(node)):
        return None
    return _Value.of(eval(compile(ast.Expression(node), "<constant>", "eval"), {}))


def _fact_anywhere(node: ast.expr) -> str | None:
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return _fact_listed(node.elts)
    if isinstance(node, ast.Call):
        return "EVENT_NUMBERS" if _numbered(node.args) else None
    if isinstance(node, ast.Dict):
        keys = [key for key in node.keys if key is not None]
        numbers = _integers(keys)
        if numbers == set(MAC_COUNTS):
            return "MAC_COUNTS"
        if numbers == set(BURSTS):
            return "BURSTS"
        if numbers == {int(log2(macs)) for macs in MAC_COUNTS}:
            return "CONFIG_WORDS"
        pairs = zip(node.keys, node.values, strict=True)
        if any(key is not None and _numbered([key, value]) for key, value in pairs):
            return "EVENT_NUMBERS"
    return "window_extent" if _is_window(node) else None


def _fact_listed(elements: list[ast.expr]) -> str | None:
    numbers = _integers(elements)
    if numbers >= set(MAC_COUNTS) and len(elements) <= _LONGEST:
        return "MAC_COUNTS"
    if numbers == set(BURSTS):
        return "BURSTS"
    return "EVENT_NUMBERS" if _numbered(elements) else None


def _integers(nodes: list[ast.expr]) -> set[int]:
    """The values of constant integers; empty if anything else is among them."""
    values = [node.value for node in nodes if isinstance(node, ast.Constant)]
    integers = {value for value in values if type(value) is int}
    return integers if len(values) == len(nodes) and len(integers) == len(set(values)) else set()


def _numbered(nodes: list[ast.expr]) -> bool:
    """Whether an event's name is followed by its number (or its twin's for AXI0)."""
    match nodes[:2]:
        case [ast.Constant(value=str(name)), ast.Constant(value=int(number))]:
            name = name.removeprefix("ETHOSU_PMU_")
            return number in (EVENT_NUMBERS.get(name), EVENT_NUMBERS.get(f"AXI0_{name}"))
    return False


def _is_window(node: ast.expr) -> bool:
    """`(n - 1) * stride + (size - 1) * dilation + 1`, whatever its parts are."""
    match node:
        case ast.BinOp(
            left=ast.BinOp(left=first, op=ast.Add(), right=second),
            op=ast.Add(),
            right=ast.Constant(value=1),
        ):
            return _is_steps(first) and _is_steps(second)
    return False


def _is_steps(node: ast.expr) -> bool:
    """`(n - 1) * step`."""
    match node:
        case ast.BinOp(left=ast.BinOp(op=ast.Sub(), right=ast.Constant(value=1)), op=ast.Mult()):
            return True
    return False
