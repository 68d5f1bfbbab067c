"""The Ethos-U55 regression bench, as it is installed.

Use it as the command `bench`, and in tests of your own through the fixtures `measure` and
`bench_cell`. The names below are for annotations; what else is inside is not meant to be imported.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.testing.results import Measure, Measured

__all__ = ["Measure", "Measured"]


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: pytest imports this package in every run."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bench.testing import results

    return getattr(results, name)
