"""The base of everything that is read from or written to a file: strict, frozen pydantic models."""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["StrictModel", "suggest"]


def suggest(name: str, known: list[str] | tuple[str, ...]) -> str:
    """A sentence that helps with a misspelt `name`: the nearest known one, then all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}known: {', '.join(known)}"


class StrictModel(BaseModel):
    """Frozen; an unknown key is an error that names the key and the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        # pydantic's own "extra inputs are not permitted" does not say what is permitted.
        if isinstance(data, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in data:
                if key not in known and key not in cls.model_fields:
                    raise ValueError(f"unknown key {key!r}; {suggest(str(key), known)}")
        return data
