"""A cell beside its accepted self: what is compared, how strictly, and why they differ. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from bench.baselines.accepted import AcceptedCell, AcceptedFigure
from bench.plan.config import BaselineConfig, Widths
from bench.plan.config.baselines import OWN
from bench.plan.metrics import Better, MetricName
from bench.records.merit import is_a_share, merit_of
from bench.records.provenance import first_cause, provenance_of, training_data_of
from bench.records.record import Record
from targets.protocol import Source

__all__ = ["DETERMINISTIC", "SAME_MODEL", "Comparison"]

#: Targets that give the same counts for the same job, whenever they are asked.
DETERMINISTIC = frozenset({Source.SIMULATED, Source.ESTIMATE})
_EXACT = Widths()
#: Mean errors and functions of the user's, whose scale is not known.
_OF_AN_ERROR = Widths(relative=0.06)

#: Why no change is tolerated.
SAME_MODEL: Final = "the model is the accepted one, so any change counts"


@dataclass(frozen=True)
class Comparison:
    """A cell and its accepted figures."""

    record: Record
    accepted: AcceptedCell
    config: BaselineConfig
    #: Which way an accuracy of the user's own improves, if a limit says it.
    stated: Better | None
    #: Where the accepted figures are from.
    origin: str

    @cached_property
    def cause(self) -> str:
        """The first difference between what both were made from; empty if nothing recorded is."""
        cause = first_cause(self.accepted.made, provenance_of(self.record))
        return str(cause) if cause else ""

    @property
    def words(self) -> str:
        """The same as the end of a sentence."""
        return f"; cause: {self.cause or 'nothing recorded differs'}"

    @cached_property
    def same_model(self) -> bool:
        """Whether the quantised model is the accepted one, byte for byte."""
        return self.accepted.made.quantisation.get("model_sha256") == self.record.model.sha256

    @cached_property
    def other_data(self) -> str:
        """Why figures that depend on the test set cannot be compared; empty if they can."""
        before, now = self.accepted.made.data.get("name"), self.record.data.name
        return "" if before == now else f"accepted on other data ({before}, not {now})"

    @cached_property
    def other_training(self) -> str:
        """The same for all figures: the model was trained on other data."""
        before = self.accepted.made.data.get("training_sha256")
        same = self.same_model or before == training_data_of(self.record)
        return "" if same else self.other_data

    def unproven(self, *, worse: bool) -> str:
        """Why the accuracy says nothing about the accepted one; empty if it does."""
        made, merit = self.accepted.made.data, merit_of(self.record)
        if made.get("metric", merit) != merit:
            return f"accepted as {made['metric']}, measured as {merit}"
        if worse or self.other_data or made.get("test_sha256") == self.record.data.sha256:
            return ""
        # A test set of one easy input has no errors: what is not worse is no proof either.
        return "the test set has changed since, so nothing is proven"

    def told(self, figure: AcceptedFigure) -> str:
        """Since when a figure stands, and why."""
        reason = f", {figure.reason!r}" if figure.reason else ""
        return f"accepted {figure.since}{reason} in {self.origin}"

    def widths(self, metric: MetricName, figure: AcceptedFigure) -> tuple[Widths, str]:
        """By how much a figure may differ, and what states it."""
        exact = self.same_model and self.record.measurement.source in DETERMINISTIC
        if exact and not figure.earlier:
            return _EXACT, SAME_MODEL
        widths, origin = self.config.widths(metric, self.record.cell.id)
        if metric is MetricName.ACCURACY and origin == OWN and not is_a_share(self.record):
            # An error has a unit of its own, so only a share of it can be stated.
            return _OF_AN_ERROR, origin
        return widths, origin
