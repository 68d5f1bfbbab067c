"""Reading `bench.toml`, with errors that name file, key and cure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from bench.compiler import vela_version
from bench.core.errors import ConfigError, PrerequisiteError
from bench.core.files import expanded
from bench.plan.cell import INSTALLED_VELA
from bench.plan.config.document import parse_document, read_text
from bench.plan.config.reach import unreachable
from bench.plan.config.settings import BenchConfig
from bench.plan.config.workloads import (
    CustomMetric,
    ModelFileWorkload,
    TrainedWorkload,
    Workload,
)

__all__ = ["load_config", "named_velas", "parse_config"]


def load_config(path: Path) -> BenchConfig:
    """Read and check the configuration file at `path`.

    Relative paths inside are resolved against the file's own directory.

    Raises:
        ConfigError: the file is missing, is not TOML, or holds a wrong key or value.
    """
    return parse_config(read_text(path), path)


def parse_config(text: str, path: Path) -> BenchConfig:
    """Like `load_config`, for `text` that came from `path`."""
    document = parse_document(text, path)
    try:
        config = BenchConfig.model_validate(document)
    except ValidationError as error:
        raise ConfigError(_explain(error, path)) from error
    dead = [f"{path}: {key}: {reason}" for key, reason in unreachable(config)]
    if dead:
        raise ConfigError(
            "\n".join(dead), cure="correct the key or the grid, or remove what judges nothing"
        )
    grid = config.grid.model_copy(update={"vela": named_velas(config.grid.vela)})
    named = config.model_copy(update={"grid": grid})
    return _resolve_paths(named, path, _directory(path))


def named_velas(versions: Iterable[str]) -> tuple[str, ...]:
    """`versions` of Vela as cells have them: that of the Vela beside the bench is `installed`."""
    try:
        here = vela_version()
    except PrerequisiteError:
        # Then no version is that of the Vela beside the bench.
        return tuple(versions)
    return tuple(INSTALLED_VELA if version == here else version for version in versions)


def _explain(error: ValidationError, path: Path) -> str:
    lines = []
    for item in error.errors():
        keys = [part for i, part in enumerate(item["loc"]) if not _is_union_tag(item["loc"], i)]
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in keys)
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"{path}: {where.lstrip('.') + ': ' if where else ''}{message}")
    return "\n".join(lines)


def _is_union_tag(loc: tuple[int | str, ...], i: int) -> bool:
    """Whether part `i` of a pydantic location is a union's tag and so no key of the file.

    Unions stand at `workloads.NAME` and at `workloads.NAME.variants.NAME`; pydantic puts the
    chosen member's tag right behind each.
    """
    return loc[0] == "workloads" and (i == 2 or (i == 5 and loc[3] == "variants"))


def _directory(path: Path) -> Path:
    """The directory of the configuration, whose name becomes part of all others."""
    directory = path.parent.resolve()
    try:
        str(directory).encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"{path}: the name of its directory is not UTF-8, as reports are",
            cure="rename the directory",
        ) from None
    return directory


def _resolve_paths(config: BenchConfig, config_path: Path, root: Path) -> BenchConfig:
    def at_root(path: Path | None, key: str) -> Path | None:
        with _naming(config_path, key):
            return None if path is None else root / expanded(path)

    workloads = {
        name: _with_paths(workload, f"workloads.{name}", at_root)
        for name, workload in config.workloads.items()
    }
    ini = at_root(config.vela.config_file, "vela.config_file")
    locks = {
        version: at_root(path, f'vela.locks."{version}"')
        for version, path in config.vela.locks.items()
    }
    vela = config.vela.model_copy(update={"config_file": ini, "locks": locks})
    history = config.history.model_copy(
        update={"path": at_root(config.history.path, "history.path")}
    )
    with _naming(config_path, "targets.fvp"):
        fvp = config.targets.fvp.resolved(root)
    with _naming(config_path, "targets.mps3"):
        mps3 = config.targets.mps3.resolved(root)
    targets = config.targets.model_copy(update={"fvp": fvp, "mps3": mps3})
    return config.model_copy(
        update={"workloads": workloads, "vela": vela, "history": history, "targets": targets}
    )


def _with_paths(
    workload: Workload, key: str, at_root: Callable[[Path | None, str], Path | None]
) -> Workload:
    """`workload` with absolute paths; `at_root` makes them, and takes their keys for errors."""
    files = ("model", "dataset") if isinstance(workload, ModelFileWorkload) else ("keras", "data")
    update: dict[str, object] = {
        name: at_root(getattr(workload, name), f"{key}.{name}") for name in files
    }
    if isinstance(workload.metric, CustomMetric):
        file = at_root(workload.metric.file, f"{key}.metric")
        update["metric"] = workload.metric.model_copy(update={"file": file})
    if isinstance(workload, TrainedWorkload):
        if workload.is_file:
            update["recipe"] = str(at_root(Path(workload.recipe), f"{key}.recipe"))
        update["frozen"] = {
            variant: one.model_copy(
                update={"model": at_root(one.model, f"{key}.frozen.{variant}.model")}
            )
            for variant, one in workload.frozen.items()
        }
    return workload.model_copy(update=update)


@contextmanager
def _naming(file: Path, key: str) -> Iterator[None]:
    """Add to a `ConfigError` of the block where it comes from."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{file}: {key}: {error.what}", cure=error.cure) from error
