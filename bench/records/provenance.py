"""From what the figures of a cell come, stage by stage, and the first stage in which two differ.

A cell is made in a chain: data, training, quantisation, Vela, firmware, target, timing. What
changes in one stage changes what follows (other weights give another stream), so only the first
difference is a cause. Last comes the bench's own code, which shapes everything it measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pydantic import Field

from bench.core.schema import RecordModel
from bench.records.record import Record

__all__ = ["Cause", "Provenance", "Stage", "first_cause", "provenance_of", "training_data_of"]


class Stage(str, Enum):
    """A stage in which a cell is made, in the order of the work."""

    DATA = "data"
    TRAINING = "training"
    QUANTISATION = "quantisation"
    VELA = "vela"
    FIRMWARE = "firmware"
    TARGET = "target"
    TIMING = "timing"
    BENCH = "bench"


#: What each stage gives, where it needs a word of its own.
_TITLES = {
    Stage.DATA: "data",
    Stage.TRAINING: "training",
    Stage.QUANTISATION: "quantisation",
    Stage.VELA: "Vela",
    Stage.FIRMWARE: "firmware",
    Stage.TARGET: "target",
    Stage.TIMING: "timing profile",
    Stage.BENCH: "the bench's own code",
}


class Provenance(RecordModel):
    """The facts of each stage, by name. A fact that is not known is not there."""

    data: dict[str, str] = Field(default_factory=dict)
    training: dict[str, str] = Field(default_factory=dict)
    quantisation: dict[str, str] = Field(default_factory=dict)
    vela: dict[str, str] = Field(default_factory=dict)
    firmware: dict[str, str] = Field(default_factory=dict)
    target: dict[str, str] = Field(default_factory=dict)
    timing: dict[str, str] = Field(default_factory=dict)
    bench: dict[str, str] = Field(default_factory=dict)

    def facts(self, stage: Stage) -> Mapping[str, str]:
        """The facts of `stage`."""
        found: Mapping[str, str] = getattr(self, stage.value)
        return found


@dataclass(frozen=True)
class Cause:
    """The first stage in which two provenances differ, and the facts that differ there."""

    stage: Stage
    #: Name of the fact -> before and after; None where it was not known.
    changes: Mapping[str, tuple[str | None, str | None]]

    def __str__(self) -> str:
        # What the stage gave differs because something else does, and differs in every cell.
        given = [name for name in self.changes if name not in _GIVEN] or self.changes
        told = [_change(name, *self.changes[name]) for name in given]
        return f"{_TITLES[self.stage]}: {', '.join(told)}"


#: The beginning of the settings of the quantisation, and the fact about the data, among those of a
#: trained model; the others belong to the training.
_QUANTISE = "quantise."
_TRAINING_DATA = "data_sha256"
#: The hashes of what a stage gave. One differs whenever something before it does, so it is told
#: only if nothing else of its stage is known to differ.
_GIVEN = frozenset({"float_sha256", "model_sha256", "compiled_sha256"})
#: What the training gave, not what it was given.
_RESULTS = frozenset({"float_accuracy"})
#: Facts in a target's answer that another stage has, or that the run itself gave.
_NOT_OF_THE_TARGET = frozenset({"cycles", "timing", "firmware", "spread"})


def provenance_of(record: Record) -> Provenance:
    """What the figures of `record` come from."""
    model, compilation, measured = record.model, record.compilation, record.measurement
    made = {
        name: value
        for name, value in model.provenance.items()
        if name not in _RESULTS and name != _TRAINING_DATA
    }
    training = {name: value for name, value in made.items() if not name.startswith(_QUANTISE)}
    quantisation = {
        name.removeprefix(_QUANTISE): value for name, value in made.items() if name not in training
    }
    if model.origin == "file":
        # Who brought the file trained and quantised it; both are behind one hash.
        training.setdefault("file_sha256", model.sha256)
    return Provenance(
        data={
            "name": record.data.name,
            "test_sha256": record.data.sha256,
            "samples": str(record.data.samples),
            **_known("metric", record.accuracy.metric if record.accuracy else ""),
            **_known("training_sha256", model.provenance.get(_TRAINING_DATA, "")),
        },
        training=training,
        quantisation={**quantisation, "model_sha256": model.sha256},
        vela={
            "version": compilation.vela_version,
            "options": _options(compilation.command),
            **_known("config_sha256", compilation.config_sha256),
            "compiled_sha256": compilation.sha256,
        },
        firmware=_known("sha256", measured.provenance.get("firmware", "")),
        target={
            "name": record.cell.target,
            "source": measured.source.value,
            **{k: v for k, v in measured.provenance.items() if k not in _NOT_OF_THE_TARGET},
        },
        timing={"name": record.cell.timing, **_known("sha256", record.timing_sha256)},
        bench=_known("code_sha256", record.code_sha256),
    )


def training_data_of(record: Record) -> str | None:
    """The sha256 of the data on which a model was trained; None for a model file."""
    return record.model.provenance.get(_TRAINING_DATA)


def _known(name: str, value: str) -> dict[str, str]:
    return {name: value} if value else {}


def _options(command: tuple[str, ...]) -> str:
    """Vela's options without the interpreter, the model and where its files go."""
    words = command[command.index("{model}") + 1 :] if "{model}" in command else command
    return " ".join(word for word in words if not word.startswith("{"))


def first_cause(before: Provenance, after: Provenance) -> Cause | None:
    """The first stage in which they differ, or None if they do not.

    A fact that only one of them knows is a difference only if nothing else is: an older record
    knows less, which changes no figure.
    """
    half_known: Cause | None = None
    for stage in Stage:
        then, now = before.facts(stage), after.facts(stage)
        differing = {
            name: (then.get(name), now.get(name))
            for name in dict.fromkeys((*then, *now))
            if then.get(name) != now.get(name)
        }
        both = {name: pair for name, pair in differing.items() if None not in pair}
        if both:
            taken = {name: pair for name, pair in both.items() if name not in _GIVEN}
            return Cause(stage, taken or both)
        if differing and half_known is None:
            half_known = Cause(stage, differing)
    return half_known


def _change(name: str, before: str | None, after: str | None) -> str:
    words = name.removeprefix("version.").replace("_", " ")
    if before is None or after is None:
        return f"{words} {'not known' if before is None else _short(name, before)} -> " + (
            "not known" if after is None else _short(name, after)
        )
    if name == "options":
        return f"options {_differing_words(before, after)}"
    return f"{words} {_short(name, before)} -> {_short(name, after)}"


def _short(name: str, value: str) -> str:
    return value[:12] if name.endswith("sha256") else value


def _differing_words(before: str, after: str) -> str:
    then, now = before.split(), after.split()
    gone = [word for word in _pairs(then) if word not in _pairs(now)]
    new = [word for word in _pairs(now) if word not in _pairs(then)]
    return f"{' '.join(gone) or 'none'} -> {' '.join(new) or 'none'}"


def _pairs(words: list[str]) -> list[str]:
    """Options with their values: `--optimise Size`."""
    found: list[str] = []
    for word in words:
        if word.startswith("--") or not found:
            found.append(word)
        else:
            found[-1] += f" {word}"
    return found
