"""Compiled models, made by Vela and kept in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.cache import JSON, Entry
from bench.compiler import CompiledModel, VelaOptions, compile_model
from bench.core.errors import CompilerError
from bench.core.plain_json import read_model
from bench.core.processes import Bounds
from bench.measuring.compilation.velas import Velas
from bench.measuring.once import Once
from bench.measuring.origins import QuantisedModel
from bench.measuring.products import Product, ProductStore
from bench.measuring.progress import Task
from bench.records.record import CompilationRecord
from bench.tflite.placement import cpu_operators

__all__ = ["COMPILING_CODE", "Compilation", "Compiler", "compilation_product", "kept_compilation"]

_RESULT = "compiled.json"
#: Vela's adapter.
COMPILING_CODE = ("bench.compiler",)


@dataclass(frozen=True)
class Compilation:
    """A compiled model in the cache, and what is known about it."""

    path: Path
    #: Of everything it was made from.
    digest: str
    record: CompilationRecord


class Compiler:
    """Compiles models. Makes each when asked; remembers only what Vela is configured with."""

    def __init__(self, *, store: ProductStore, velas: Velas, bounds: Bounds) -> None:
        """`bounds` are those of one compile."""
        self._store = store
        self._velas = velas
        self._bounds = bounds
        self._config_sha256 = Once(self._hashed_config)

    def compiled(
        self, name: str, model: QuantisedModel, options: VelaOptions, vela: str
    ) -> Compilation:
        """Compile `model` with the Vela that a cell's `vela` names; `name` is for people.

        Raises `CompilerError`, `ConfigError`, `PrerequisiteError`; see `compile_model`.
        """
        running = self._velas.running(vela)
        installation = running.installation
        sha256 = self._config_sha256((options, vela))
        product = compilation_product(
            self._store, name, model.record.sha256, options, installation.version, sha256
        )

        def build(directory: Path) -> None:
            with Task.running("compile", name, self._store.sink):
                made = compile_model(
                    model.path,
                    options,
                    directory,
                    bounds=self._bounds,
                    vela=installation,
                    runner=running.runner,
                )
            if made.config_sha256 != sha256:
                raise CompilerError(
                    f"{name}: Vela's configuration file was changed while it compiled",
                    cure="run again",
                )
            (directory / _RESULT).write_text(made.model_dump_json(indent=1), encoding="utf-8")

        entry = self._store.obtain(product, build)
        made, path = kept_compilation(entry)
        record = CompilationRecord(
            vela_version=made.vela_version,
            command=made.command,
            options=made.options,
            config_sha256=made.config_sha256,
            sha256=made.sha256,
            device_model_bytes=made.device_model_bytes,
            report=made.report,
            cpu_operators=cpu_operators(path),
        )
        return Compilation(path, product.key.digest, record)

    def _hashed_config(self, asked: tuple[VelaOptions, str]) -> str:
        options, vela = asked
        return options.config_sha256(self._velas.running(vela).installation)


def compilation_product(
    store: ProductStore,
    name: str,
    model_sha256: str,
    options: VelaOptions,
    version: str,
    config_sha256: str,
) -> Product:
    """Under what the cache holds what Vela `version` makes of a quantised model."""
    parameters: dict[str, JSON] = {
        "model": model_sha256,
        "vela": options.fingerprint(version, config_sha256),
    }
    return store.product("compiled", name, parameters, COMPILING_CODE)


def kept_compilation(entry: Entry) -> tuple[CompiledModel, Path]:
    """What a compile gave, and the optimised `.tflite`."""
    made = read_model(entry.file(_RESULT).read_bytes(), CompiledModel)
    return made, entry.file(made.file_name)
