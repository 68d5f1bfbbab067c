"""`bench cache`: the artefact cache, looked at and tidied."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.options import CacheRoot, open_cache

__all__ = ["commands"]

commands = typer.Typer(help="Look at and tidy the artefact cache.", no_args_is_help=True)


@commands.command()
def info(cache: CacheRoot = None) -> None:
    """Show how many entries of each kind there are and what they take."""
    from rich.console import Console
    from rich.table import Table

    from bench.core.units import KIB

    store = open_cache(cache)
    table = Table("kind", "entries", "KiB", title=f"artefact cache {store.root}")
    stats = store.stats()
    rows = {**stats.kinds, "quarantine": stats.quarantine, "unfinished": stats.temporaries}
    for kind, usage in rows.items():
        table.add_row(kind, f"{usage.entries:,}", f"{usage.bytes / KIB:,.0f}")
    Console().print(table)


@commands.command()
def verify(cache: CacheRoot = None) -> None:
    """Check every entry against its sha256 sums.

    The exit status is 1 when something is wrong.
    """
    store = open_cache(cache)
    store.sweep()
    problems = store.verify()
    for problem in problems:
        print(problem)
    if problems:
        raise typer.Exit(1)
    print(f"{store.root}: clean")


@commands.command()
def gc(
    max_age_days: Annotated[
        float | None, typer.Option(min=0, help="Remove entries unused for longer.")
    ] = None,
    max_mib: Annotated[
        float | None, typer.Option(min=0, help="Remove the least recently used beyond this size.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    cache: CacheRoot = None,
) -> None:
    """Remove leftovers, damaged entries and old ones.

    Leftovers are what killed processes did not finish. Sound entries go only where a bound on
    their age or on the cache's size is given.
    """
    from datetime import timedelta

    from bench.core.units import KIB

    outcome = open_cache(cache).gc(
        max_age=None if max_age_days is None else timedelta(days=max_age_days),
        max_bytes=None if max_mib is None else int(max_mib * KIB * KIB),
        dry_run=dry_run,
    )
    verb = "would remove" if dry_run else "removed"
    print(
        f"{verb} {len(outcome.removed)} entries, {outcome.freed / KIB:,.0f} KiB; "
        f"{outcome.kept.entries} stay, {outcome.kept.bytes / KIB:,.0f} KiB"
    )
