"""A short way to read a file in which nothing is unusual.

`RecordModel` cleans text and explains misspelt keys in Python, once for each nested model: more
work than everything else about a record. A file that this version of the bench wrote has nothing to
clean, and all fields. So the whole of it is looked at first, at the speed of `bytes`. If its text
cannot hold what a model would clean, it is validated without those steps, and in one pass. It is
validated in full: same fields, same types, same bounds.

What is not plain, or is not valid, is left to the long way, which alone words an error.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from pydantic_core import SchemaError, SchemaValidator, ValidationError

from bench.core.schema import is_needless_if_plain
from bench.core.text import xml_text

__all__ = ["has_long_number", "read_model", "read_plain"]

_Model = TypeVar("_Model", bound=BaseModel)

#: Escapes that can stand for a character that XML lacks. JSON allows no such character itself,
#: except beyond ASCII.
_ESCAPES: Final = (rb"\u", rb"\b", rb"\f")
_ANY_DIGIT: Final = bytes.maketrans(b"0123456789", b"0000000000")
#: Fewer digits in a row fit into 64 bits, whatever they are.
_LONG: Final = b"0" * 18
_RUN: Final = re.compile(rb"0+")
_BEFORE_A_NUMBER: Final = b" \t\r\n:,[-"


def read_plain(content: bytes, model: type[_Model]) -> _Model | None:
    """The `model` in the JSON `content`; None if that is not plain or not valid."""
    validator = _validator(model) if _is_plain(content) else None
    if validator is None:
        return None
    try:
        found: _Model = validator.validate_json(content)
    except ValidationError:
        return None
    return found


def read_model(content: bytes, model: type[_Model]) -> _Model:
    """The `model` in the JSON `content`, the short way or the long one. Raises `ValueError`."""
    found = read_plain(content, model)
    return model.model_validate_json(content) if found is None else found


def has_long_number(content: bytes) -> bool:
    """Whether an integer in `content` may need more than 64 bits."""
    # A regular expression that looks for the same takes thirty times as long.
    digits = content.translate(_ANY_DIGIT)
    at = digits.find(_LONG)
    while at >= 0:
        # Otherwise it is a fraction, or within a text, such as a hash.
        if at == 0 or digits[at - 1] in _BEFORE_A_NUMBER:
            return True
        run = _RUN.match(digits, at)
        at = digits.find(_LONG, run.end() if run else at + 1)
    return False


def _is_plain(content: bytes) -> bool:
    # Most files have no escape at all, which is known at once.
    if b"\\" in content and any(one in content for one in _ESCAPES):
        return False
    if has_long_number(content):
        return False
    if content.isascii():
        return True
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return xml_text(text) == text


@cache
def _validator(model: type[BaseModel]) -> SchemaValidator | None:
    """The validator of `model` and all models in it, for plain documents."""
    try:
        schema = _plain(model.__pydantic_core_schema__)
        # The validators that the nested models have already would do all steps.
        return SchemaValidator(schema, _use_prebuilt=False)
    except (SchemaError, TypeError):
        # Another version of pydantic. The long way is slower, and as right.
        return None


def _plain(schema: Any) -> Any:
    """The core schema without needless steps, and without defaults: every field is there."""
    if isinstance(schema, (list, tuple)):
        return type(schema)(map(_plain, schema))
    if not isinstance(schema, dict):
        return schema
    match schema:
        case {"type": "function-before", "schema": inner, "function": {"function": step}} if (
            is_needless_if_plain(step)
        ):
            return _plain(inner)
        case {"type": "model-field", "schema": {"type": "default", "schema": inner}}:
            return {**schema, "schema": _plain(inner)}
        case {"type": "any"}:
            raise TypeError("anything may be there, so nothing would look at it")
        case {"type": "float"}:
            # JSON has no NaN and no infinity; the long way refuses them wherever they stand.
            return {**schema, "allow_inf_nan": False}
    return {key: _plain(value) for key, value in schema.items()}
