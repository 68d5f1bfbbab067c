"""What changed between two runs of a cell: a stage of its provenance, the commit. Pure."""

from __future__ import annotations

from pydantic import ValidationError

from bench.history.database import HistoryError
from bench.history.series import Point, RunSummary
from bench.records.provenance import Cause, Provenance, Stage, first_cause

__all__ = ["changes_between", "is_retrained", "revision_words"]

#: Facts that a stage gives, not what it is given. They differ whenever an earlier stage does, and
#: also where training on another machine gives other weights.
_RESULTS = {
    Stage.TRAINING: "float_sha256",
    Stage.QUANTISATION: "model_sha256",
    Stage.VELA: "compiled_sha256",
}
#: The stages that make the model.
_OF_THE_MODEL = frozenset({Stage.DATA, Stage.TRAINING, Stage.QUANTISATION})

#: Characters of a commit's hash, as git abbreviates it.
_ABBREVIATED = 10


def _provenance(facts: str) -> Provenance:
    try:
        return Provenance.model_validate_json(facts)
    except ValidationError:
        raise HistoryError("the history is damaged: a provenance in it is none") from None


def _recipe(provenance: Provenance) -> Provenance:
    """What was given to each stage, without what it gave."""
    update = {}
    for stage, result in _RESULTS.items():
        facts = provenance.facts(stage)
        update[stage.value] = {name: facts[name] for name in facts if name != result}
    return provenance.model_copy(update=update)


def _causes(before: Point, after: Point) -> tuple[Cause | None, Cause | None]:
    """The first difference in what was given to the stages, and the first of all."""
    if before.provenance == after.provenance or not before.provenance or not after.provenance:
        return None, None
    then, now = _provenance(before.provenance), _provenance(after.provenance)
    return first_cause(_recipe(then), _recipe(now)), first_cause(then, now)


def is_retrained(before: Point, after: Point) -> bool:
    """Whether the same recipe gave another model: chance, or another kind of machine."""
    if before.model_origin != "trained" or before.model_sha256 == after.model_sha256:
        return False
    given, _ = _causes(before, after)
    return given is None or given.stage not in _OF_THE_MODEL


def revision_words(run: RunSummary) -> str:
    """A run's commit in short, with a `+` if files were changed; `-` if it is not known."""
    return f"{run.revision[:_ABBREVIATED]}{'+' if run.dirty else ''}" if run.revision else "-"


def changes_between(before: Point, after: Point) -> tuple[str, ...]:
    """What is known to have changed, what explains most first."""
    given, any_ = _causes(before, after)
    told = [str(given or any_)] if given or any_ else []
    run = after.run
    then, now = revision_words(before.run), revision_words(run)
    if (before.run.revision, before.run.dirty) != (run.revision, run.dirty):
        told.append(f"commit {then} -> {now}")
    elif run.dirty:
        told.append(f"files changed since commit {now.removesuffix('+')}")
    if before.run.host != after.run.host:
        told.append(f"host {before.run.host} -> {after.run.host}")
    return tuple(told)
