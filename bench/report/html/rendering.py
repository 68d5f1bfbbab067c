"""Templates and scripts made into a page that loads nothing, and runs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from bench import __version__
from bench.report.html.packing import script_json, text

__all__ = ["asset", "render_page"]


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Everything that a template shows is escaped; what is not defined is an error."""
    return Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_shown,
    )


def _shown(value: Any) -> Any:
    """Text from a record, without control characters; markup is our own."""
    return text(value) if type(value) is str else value


def asset(name: str) -> str:
    """A file of the page."""
    path = resources.files(__package__).joinpath(f"assets/{name}")
    return path.read_text(encoding="utf-8")


def render_page(
    template: str,
    values: Mapping[str, Any],
    data: object,
    chunks: Iterable[str],
    scripts: Iterable[str],
) -> str:
    """The page of `template`.

    Args:
        template: the name of its file.
        values: what it shows.
        data: what its scripts work with.
        chunks: compressed data, in base64.
        scripts: our own code, in order; no other code runs, as the page's policy has their hashes.
    """
    # HTML makes `\n` of every end of line before the hash is taken.
    code = [script.replace("\r\n", "\n") for script in scripts]
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            version=__version__,
            policy=_policy(code),
            style=Markup(asset("style.css")),
            data=Markup(script_json(data)),
            chunks=[Markup(chunk) for chunk in chunks],
            scripts=[Markup(script) for script in code],
        )
    )


def _policy(scripts: Iterable[str]) -> str:
    """The page's content security policy: it may load nothing, and run these scripts only."""
    hashes = " ".join(
        "'sha256-" + base64.b64encode(hashlib.sha256(one.encode("utf-8")).digest()).decode() + "'"
        for one in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
