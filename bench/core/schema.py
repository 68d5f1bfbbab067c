"""The base of everything that is read from or written to a file: strict, frozen pydantic models."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, model_validator

from bench.core.text import xml_text

__all__ = ["RecordModel", "StrictModel", "is_needless_if_plain", "needless_if_plain", "suggest"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_NEEDLESS = "needless_if_plain"


def suggest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """A sentence that helps with a misspelt `name`: the nearest known one, then all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}known: {', '.join(known)}"


def needless_if_plain(step: _Function) -> _Function:
    """Mark a step before validation that leaves plain documents of this version as they are.

    These have all fields, and no character that XML lacks; see `bench.core.plain_json`.
    """
    setattr(step, _NEEDLESS, True)
    return step


def is_needless_if_plain(step: Callable[..., Any]) -> bool:
    """Whether `step` is marked so."""
    return getattr(step, _NEEDLESS, False)


class StrictModel(BaseModel):
    """Frozen; an unknown key is an error that names the key and the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    @needless_if_plain
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        # pydantic's own "extra inputs are not permitted" does not say what is permitted.
        if isinstance(data, dict) and not data.keys() <= cls.model_fields.keys():
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in data:
                if key not in known and key not in cls.model_fields:
                    raise ValueError(f"unknown key {key!r}; {suggest(str(key), known)}")
        return data


class RecordModel(StrictModel):
    """The base of what a run stores: it can be read back and shown in every report.

    Its numbers are finite, because JSON has no others. In its text, characters that XML does not
    have are replaced by U+FFFD, because names of tensors, operators and files come from outside.
    """

    model_config = ConfigDict(allow_inf_nan=False, ser_json_inf_nan="constants")

    @model_validator(mode="before")
    @classmethod
    @needless_if_plain
    def _replace_what_xml_lacks(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        # Nested models clean their own text.
        return data | {
            name: _with_xml_text(data[name]) for name in _text_fields(cls) if name in data
        }


@cache
def _text_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields that hold text, or containers of it."""
    fields = model.model_fields.items()
    return tuple(name for name, field in fields if _holds_text(field.annotation))


def _holds_text(annotation: Any) -> bool:
    return annotation is str or any(map(_holds_text, get_args(annotation)))


def _with_xml_text(value: Any) -> Any:
    # Types are matched exactly, because enums are strings too.
    if type(value) is str:
        return xml_text(value)
    if type(value) is dict:
        return {_with_xml_text(key): _with_xml_text(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_with_xml_text(item) for item in value)
    return value
