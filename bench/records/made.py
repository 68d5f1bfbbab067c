"""Models made without validation, from values that have been validated. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TypeVar

from pydantic import BaseModel

__all__ = ["made_model", "share_names"]

_Model = TypeVar("_Model", bound=BaseModel)
_set = object.__setattr__


def made_model(model: type[_Model], fields: Mapping[str, object]) -> _Model:
    """A `model` of `fields`, which must be all of its fields and of their types.

    `model_construct` does the same ten times more slowly, as it looks for defaults and aliases.
    """
    made = model.__new__(model)
    # The state of a model without private attributes and extra fields; see pydantic.BaseModel.
    _set(made, "__dict__", fields)
    _set(made, "__pydantic_fields_set__", names_of(model))
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made


def share_names(*models: BaseModel) -> None:
    """Let frozen `models`, of which all fields were given, share the sets of their fields' names.

    pydantic makes a set for each model, which takes more memory than the values.
    """
    for model in models:
        _set(model, "__pydantic_fields_set__", names_of(type(model)))


@cache
def names_of(model: type[BaseModel]) -> set[str]:
    """The names of the fields of `model`, which nobody may change."""
    return set(model.model_fields)
