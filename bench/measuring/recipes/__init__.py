"""Users' recipes: pinned and looked at when a run begins, and their data in the cache."""

from bench.measuring.recipes.surveying import (
    DATA_CODE,
    TRAINING_CODE,
    SurveyedRecipe,
    built_in,
    stored_data,
    survey_recipe,
)

__all__ = [
    "DATA_CODE",
    "TRAINING_CODE",
    "SurveyedRecipe",
    "built_in",
    "stored_data",
    "survey_recipe",
]
