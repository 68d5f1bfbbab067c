"""Compiled models, made by any version of Vela and kept in the cache."""

from bench.measuring.compilation.compiler import (
    COMPILING_CODE,
    Compilation,
    Compiler,
    compilation_product,
    kept_compilation,
)
from bench.measuring.compilation.velas import VelaInstallations, Velas

__all__ = [
    "COMPILING_CODE",
    "Compilation",
    "Compiler",
    "VelaInstallations",
    "Velas",
    "compilation_product",
    "kept_compilation",
]
