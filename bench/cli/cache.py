"""`bench cache`: the artefact cache, looked at and tidied."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import CacheRoot, open_cache
from bench.core.text import one_line

if TYPE_CHECKING:
    from bench.cache import GcReport

__all__ = ["commands"]

#: Usually all entries that could not be removed have the same cause, so a few are enough.
_SHOWN = 5

commands = typer.Typer(help="Inspect and tidy the artefact cache.", no_args_is_help=True)


@commands.command()
def info(cache: CacheRoot = None) -> None:
    """Show the number and the size of the entries of each kind."""
    from rich.console import Console
    from rich.table import Table

    from bench.core.units import KIB

    store = open_cache(cache)
    table = Table("kind", "entries", "KiB", title=f"artefact cache {store.root}")
    stats = store.stats()
    rows = {**stats.kinds, "quarantine": stats.quarantine, "unfinished": stats.temporaries}
    for kind, usage in rows.items():
        table.add_row(kind, f"{usage.entries:,}", f"{usage.bytes / KIB:,.0f}")
    Console(markup=False, emoji=False).print(table)


@commands.command()
def verify(cache: CacheRoot = None) -> None:
    """Check every entry against its sha256 sums; change nothing.

    The exit status is 1 when something is wrong. Leftovers of killed processes and entries in
    quarantine are listed but do no harm.
    """
    store = open_cache(cache)
    problems = store.verify()
    for problem in problems:
        print(problem)
    if not all(problem.harmless for problem in problems):
        raise typer.Exit(1)
    print(f"{store.root}: {'sound; `bench cache gc` removes the above' if problems else 'clean'}")


@commands.command()
def gc(
    max_age_days: Annotated[
        float | None, typer.Option(min=0, help="Remove entries unused for longer.")
    ] = None,
    max_mib: Annotated[
        float | None, typer.Option(min=0, help="Remove the least recently used beyond this size.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")] = False,
    cache: CacheRoot = None,
) -> None:
    """Remove leftovers, damaged entries and old ones.

    Leftovers are what killed processes did not finish. Intact entries are removed only if you give
    a bound on their age or on the cache's size.
    """
    store = open_cache(cache)
    max_age, max_bytes = _days(max_age_days), _mib(max_mib)
    if not store.exists():
        print(f"{store.root}: there is no cache, so nothing to remove")
        return
    outcome = store.gc(max_age, max_bytes, dry_run=dry_run)
    print(_told(outcome, "would remove" if dry_run else "removed"))
    failures = [*outcome.failed, *outcome.swept.failed]
    for path, reason in failures[:_SHOWN]:
        print(f"bench: {one_line(str(path))}: {one_line(reason)}", file=sys.stderr)
    if failures:
        if len(failures) > _SHOWN:
            print(f"bench: and {len(failures) - _SHOWN} more", file=sys.stderr)
        raise typer.Exit(1)


@commands.command()
def push(
    remote: Annotated[
        str | None, typer.Option(help="The store's address; default $BENCH_CACHE_REMOTE.")
    ] = None,
    cache: CacheRoot = None,
) -> None:
    """Upload the products to a remote cache, where other machines find them.

    Products that are there already are left alone. Copies of your files and installed versions of
    Vela stay here. Address: https://host/path (a server that takes PUT), s3://bucket/path,
    file:///path. Who may write to the store decides what its users measure.
    """
    import os

    from bench.cache import default_remote, open_store
    from bench.cache.remote.pushing import push as push_entries
    from bench.core.errors import ConfigError
    from bench.core.units import KIB
    from bench.measuring.products import NOT_SHARED

    address = default_remote(os.environ) if remote is None else remote
    if not address:
        raise ConfigError(
            "no remote cache is named", cure="name one: --remote ADDRESS, or BENCH_CACHE_REMOTE"
        )
    there = open_store(address)
    store = open_cache(cache)
    done = push_entries(
        store.intact(),
        there,
        without=NOT_SHARED,
        heard=lambda entry: print(f"sent {entry.key}, {entry.manifest.size / KIB:,.0f} KiB"),
    )
    print(
        f"{there.name}: sent {done.sent} products, {done.bytes / KIB:,.0f} KiB; "
        f"{done.there} were there"
    )


def _days(days: float | None) -> timedelta | None:
    try:
        return None if days is None else timedelta(days=days)
    except OverflowError:
        raise typer.BadParameter(f"{days} is too many", param_hint="--max-age-days") from None


def _mib(mib: float | None) -> int | None:
    from bench.core.units import KIB

    try:
        return None if mib is None else int(mib * KIB * KIB)
    except OverflowError:
        raise typer.BadParameter(f"{mib} is too many", param_hint="--max-mib") from None


def _told(outcome: GcReport, verb: str) -> str:
    from bench.core.units import KIB

    entries = len(outcome.removed) + len(outcome.damaged)
    parts = [f"{verb} {entries} entries, {outcome.freed / KIB:,.0f} KiB"]
    if outcome.damaged:
        parts[0] += f" ({len(outcome.damaged)} damaged)"
    if outcome.swept.removed:
        parts.append(f"{len(outcome.swept.removed)} leftovers or entries in quarantine")
    parts.append(f"{outcome.kept.entries} stay, {outcome.kept.bytes / KIB:,.0f} KiB")
    if outcome.busy:
        parts[-1] += f" ({len(outcome.busy)} because they are in use)"
    return "; ".join(parts)
