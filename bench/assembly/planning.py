"""A plan made as a document: the work of a run, what the cache holds of it, and what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.assembly.earlier import seen_seconds
from bench.assembly.looking import kept_steps
from bench.assembly.setup import prepare_run, unavailable_targets
from bench.assembly.surroundings import image_of, read_surroundings
from bench.plan.document import PlanDocument, planned_cells, planned_steps
from bench.plan.expected import expected_times
from bench.plan.work import work_of

__all__ = ["make_document"]


def make_document(
    *,
    config_path: Path,
    targets: tuple[str, ...],
    velas: tuple[str, ...],
    results: Path | None,
    cache_root: Path,
    environment: Mapping[str, str],
) -> PlanDocument:
    """The plan of a run with these arguments (see `prepare_run`). Nothing is built or trained.

    Raises `BenchError` if the run could not begin.
    """
    setup = prepare_run(
        config_path=config_path,
        targets=targets,
        velas=velas,
        results=results,
        cache_root=cache_root,
        invocation=(),
    )
    setup = replace(setup, unavailable=unavailable_targets(setup))
    work = work_of(setup.config, setup.plan())
    surroundings = read_surroundings(config_path, environment)
    image = image_of(environment)
    return PlanDocument(
        config_path=str(config_path),
        config_sha256=setup.config_sha256,
        targets=setup.targets,
        velas=setup.velas,
        cells=planned_cells(work),
        steps=planned_steps(
            work,
            expected_times(setup.config, work, seen_seconds(setup.run_path.parent)),
            kept_steps(setup, work),
        ),
        tools=surroundings.tools,
        tools_absent=surroundings.tools_absent,
        image=image,
        image_absent="" if image else "neither BENCH_IMAGE nor CI_JOB_IMAGE names one",
    )
