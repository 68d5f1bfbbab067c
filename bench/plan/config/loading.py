"""Reading `bench.toml`, and the errors a wrong one deserves: file, key and cure."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import ValidationError

from bench.core.errors import ConfigError
from bench.plan.config.settings import BenchConfig
from bench.plan.config.workloads import ModelFileWorkload, Workload

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["load_config", "parse_config"]


def load_config(path: Path) -> BenchConfig:
    """Read and check the configuration file at `path`.

    Relative paths inside are resolved against the file's own directory.

    Raises:
        ConfigError: the file is missing, is not TOML, or holds a wrong key or value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read: {error}",
            cure="name the configuration with --bench-config FILE, or run where bench.toml is",
        ) from error
    return parse_config(text, path)


def parse_config(text: str, path: Path) -> BenchConfig:
    """As `load_config`, for `text` that came from `path`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error
    try:
        config = BenchConfig.model_validate(document)
    except ValidationError as error:
        raise ConfigError(_explain(error, path)) from error
    return _resolve_paths(config, path.parent.resolve())


def _explain(error: ValidationError, path: Path) -> str:
    lines = []
    for item in error.errors():
        keys = [part for i, part in enumerate(item["loc"]) if not _is_union_tag(item["loc"], i)]
        where = ""
        for part in keys:
            where += f"[{part}]" if isinstance(part, int) else f".{part}"
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"{path}: {where.lstrip('.') + ': ' if where else ''}{message}")
    return "\n".join(lines)


def _is_union_tag(loc: tuple[int | str, ...], i: int) -> bool:
    """Whether part `i` of a pydantic location is a union's tag and so no key of the file.

    Unions stand at `workloads.NAME` and at `workloads.NAME.variants.NAME`; pydantic puts the
    chosen member's tag right behind each.
    """
    return loc[0] == "workloads" and (i == 2 or (i == 5 and loc[3] == "variants"))


def _resolve_paths(config: BenchConfig, root: Path) -> BenchConfig:
    def at_root(path: Path | None) -> Path | None:
        return None if path is None else root / path.expanduser()

    workloads: dict[str, Workload] = {}
    for name, workload in config.workloads.items():
        if isinstance(workload, ModelFileWorkload):
            update = {"model": at_root(workload.model), "dataset": at_root(workload.dataset)}
            workload = workload.model_copy(update=update)
        workloads[name] = workload
    vela = config.vela.model_copy(update={"config_file": at_root(config.vela.config_file)})
    targets = config.targets.model_copy(
        update={
            "fvp": config.targets.fvp.resolved(root),
            "mps3": config.targets.mps3.resolved(root),
        }
    )
    return config.model_copy(update={"workloads": workloads, "vela": vela, "targets": targets})
