"""Changes to the file of the configuration that leave the rest as the user wrote it.

A new table is text at the end of the file. A key that is there already is changed by tomlkit, which
keeps comments and order. Whatever was done, the result must read as the old document with exactly
the wanted change, and must be a valid configuration; otherwise the file stays as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array

from bench.core.errors import ConfigError
from bench.core.files import write_atomically
from bench.plan.config.baselines import ToleranceRule
from bench.plan.config.document import parse_document
from bench.plan.config.loading import parse_config
from bench.plan.config.workloads import FrozenModel

__all__ = ["replace_config", "tolerances_toml", "with_frozen", "with_tolerances"]

_TOLERANCES = "baselines.tolerances"


def tolerances_toml(rules: Sequence[ToleranceRule]) -> str:
    """`rules` as they stand in a configuration."""
    return "\n".join(_table(f"[[{_TOLERANCES}]]", _entry(rule)) for rule in rules)


def with_tolerances(text: str, rules: Sequence[ToleranceRule], path: Path) -> str:
    """`text`, which came from `path`, with `rules`.

    A rule takes the place of a calibrated one for the same metrics and cells; others are added at
    the end, where they decide. Raises `ConfigError` if the text cannot be changed so.
    """
    before = parse_document(text, path)
    wanted = copy.deepcopy(before)
    listed: list[dict[str, Any]] = wanted.setdefault("baselines", {}).setdefault("tolerances", [])
    new: list[ToleranceRule] = []
    changed: dict[int, dict[str, Any]] = {}
    for rule in rules:
        entry = _entry(rule)
        place = _calibrated_before(listed, entry)
        if place is None:
            new.append(rule)
        else:
            changed[place] = listed[place] = entry
    listed += [_entry(rule) for rule in new]
    by_hand = tolerances_toml(rules)
    if changed:
        text = _edited(text, ("baselines", "tolerances"), changed, path, by_hand)
    if new:
        text = _with_more(text, new, path, by_hand)
    return _confirmed(text, wanted, path, by_hand)


def with_frozen(text: str, workload: str, frozen: Mapping[str, FrozenModel], path: Path) -> str:
    """`text`, which came from `path`, with these variants of `workload` frozen.

    Raises `ConfigError` if the text cannot be changed so, or no longer is a configuration.
    """
    before = parse_document(text, path)
    wanted = copy.deepcopy(before)
    there = wanted["workloads"][workload].setdefault("frozen", {})
    known = bool(there)
    entries = {variant: _frozen_entry(one) for variant, one in frozen.items()}
    there |= entries
    by_hand = _table(f"[workloads.{workload}.frozen]", entries)
    if known:
        text = _edited(text, ("workloads", workload, "frozen"), entries, path, by_hand)
    else:
        text = _appended(text, by_hand)
    return _confirmed(text, wanted, path, by_hand)


def _with_more(text: str, new: Sequence[ToleranceRule], path: Path, by_hand: str) -> str:
    """`text` with `new` tolerances, in the way in which it has its others."""
    try:
        document: Any = tomlkit.parse(text)
        there = document.get("baselines", {}).get("tolerances")
        if isinstance(there, Array):
            for rule in new:
                there.append(tomlkit.value(_value(_entry(rule))))
            return tomlkit.dumps(document)
    except (TOMLKitError, AttributeError, ValueError) as error:
        raise _unchanged(path, by_hand) from error
    return _appended(text, tolerances_toml(new))


def _calibrated_before(listed: Sequence[Mapping[str, Any]], entry: Mapping[str, Any]) -> int | None:
    """The place of the calibrated entry for the same metrics and cells, if there is one."""
    for place, other in enumerate(listed):
        same = all(other.get(key) == entry.get(key) for key in ("metrics", "cells"))
        if same and other.get("evidence"):
            return place
    return None


def _entry(rule: ToleranceRule) -> dict[str, Any]:
    """The keys of a tolerance, in the order in which a person reads them."""
    stated = rule.model_dump(mode="json", exclude_unset=True)
    keys = ("metrics", "cells", "relative", "absolute", "evidence")
    return {key: stated[key] for key in keys if stated.get(key) is not None}


def _frozen_entry(frozen: FrozenModel) -> dict[str, Any]:
    stated = {"model": frozen.model.as_posix(), "sha256": frozen.sha256, "recipe": frozen.recipe}
    return {key: value for key, value in stated.items() if value}


def _table(header: str, entries: Mapping[str, Any]) -> str:
    lines = [header]
    for key, value in entries.items():
        lines.append(f"{key} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    return str(tomlkit.item(value).as_string())


def _appended(text: str, tables: str) -> str:
    joint = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{joint}{tables}"


def _edited(
    text: str, place: Sequence[str], entries: Mapping[Any, Any], path: Path, by_hand: str
) -> str:
    """`text` with the items of the table or array at `place` replaced, or added."""
    try:
        document = tomlkit.parse(text)
        node: Any = document
        for key in place:
            node = node[key]
        for key, entry in entries.items():
            if isinstance(key, int):
                for name in [name for name in node[key] if name not in entry]:
                    del node[key][name]
                for name, value in entry.items():
                    node[key][name] = value
            else:
                node[key] = tomlkit.value(_value(entry))
        return tomlkit.dumps(document)
    except (TOMLKitError, LookupError, TypeError, ValueError) as error:
        raise _unchanged(path, by_hand) from error


def _confirmed(text: str, wanted: Mapping[str, Any], path: Path, by_hand: str) -> str:
    try:
        right = parse_document(text, path) == wanted
    except ConfigError as error:
        raise _unchanged(path, by_hand) from error
    if not right:
        raise _unchanged(path, by_hand)
    parse_config(text, path)
    return text


def _unchanged(path: Path, by_hand: str) -> ConfigError:
    return ConfigError(
        f"{path}: is written in a way that this change does not fit into; it is as it was",
        cure=f"put this into it yourself:\n{by_hand}",
    )


def replace_config(path: Path, text: str) -> None:
    """Replace the file at `path` by `text`, at once. Raises `ConfigError` if that is impossible."""
    try:
        # Through a link, which would otherwise be replaced by a file.
        write_atomically(path.resolve(), text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
