"""A user's data sets: read without trust, checked and converted in pieces, and then mapped."""

from bench.measuring.datasets.archive import open_archive
from bench.measuring.datasets.fitting import (
    Dataset,
    fit_dataset,
    fitted_dataset,
    survey_dataset,
)
from bench.measuring.datasets.headers import LABELS, require_fit
from bench.measuring.datasets.survey import Survey

__all__ = [
    "LABELS",
    "Dataset",
    "Survey",
    "fit_dataset",
    "fitted_dataset",
    "open_archive",
    "require_fit",
    "survey_dataset",
]
