"""The frozen variants, checked before they are used."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bench.core.errors import BenchError, ConfigError, ModelError
from bench.measuring.inputs import sha256_of
from bench.plan.config import BenchConfig, FrozenModel, TrainedWorkload
from bench.tflite.model_file import load_quantised

__all__ = ["check_frozen", "check_frozen_variants"]


def check_frozen_variants(
    config: BenchConfig, config_path: Path, planned: Collection[str]
) -> dict[Path, str]:
    """Check the frozen variants of the `planned` workloads; returns their files with the sha256.

    Raises `BenchError`, which names configuration, key and file.
    """
    found: dict[Path, str] = {}
    for name in sorted(planned):
        workload = config.workloads[name]
        if not isinstance(workload, TrainedWorkload):
            continue
        for variant, frozen in workload.frozen.items():
            if config.grid.variants and variant not in config.grid.variants:
                continue
            check_frozen(workload, variant, f"{config_path}: workloads.{name}", name)
            found[frozen.model] = frozen.sha256
    return found


def check_frozen(workload: TrainedWorkload, variant: str, place: str, name: str) -> None:
    """Check that a frozen variant is the model that was frozen, from the recipe of today.

    Args:
        workload: the workload; `variant` is in its `frozen`.
        variant: the variant.
        place: file and key of the workload, for errors.
        name: the workload's name, for the cure.

    Raises:
        ModelError: the file cannot be read, or is no quantised model.
        ConfigError: it is another model than the frozen one, or its recipe was changed.
    """
    frozen = workload.frozen[variant]
    key = f"{place}.frozen.{variant}"
    # Those that are intact stay; those made from this one must be made again too.
    again = f"bench freeze {name}"
    _check_recipe(workload, variant, frozen, key, again)
    try:
        digest = sha256_of(frozen.model)
    except BenchError as error:
        raise ModelError(
            f"{key}.model: {error.what}",
            cure=f"restore it from version control, or make it again: {again}",
        ) from error
    if digest != frozen.sha256:
        raise ConfigError(
            f"{key}.sha256: is {frozen.sha256}, but {frozen.model} has {digest}: it is not the "
            "model that was frozen",
            cure=f"restore the file from version control, or make it again: {again}",
        )
    try:
        load_quantised(frozen.model)
    except ModelError as error:
        raise ModelError(f"{key}.model: {error}") from error


def _check_recipe(
    workload: TrainedWorkload, variant: str, frozen: FrozenModel, key: str, again: str
) -> None:
    now = workload.recipe_sha256(variant)
    if frozen.recipe and frozen.recipe != now:
        raise ConfigError(
            f"{key}.recipe: is {frozen.recipe}, but the settings of {variant!r} give {now}: they "
            "were changed after it was frozen, so the change would have no effect",
            cure=f"undo the change, or make the model from the new settings: {again}",
        )
