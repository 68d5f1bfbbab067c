"""The adapter to Arm's Vela: its options, how it is run, and its reports.

`compile_model` turns a quantised `.tflite` and `VelaOptions` into a `CompiledModel`, whose
`VelaReport` is read from Vela's CSV files (never from its printed text). The package knows nothing
of targets, cells or caches.
"""

from bench.compiler.options import VelaOptions, require_vela, vela_version
from bench.compiler.report import (
    LayerReport,
    MemoryArea,
    MemoryReport,
    Placement,
    VelaReport,
    read_report,
)
from bench.compiler.running import VelaRunner, VelaServer
from bench.compiler.vela import COMPILE_BOUNDS, CompiledModel, compile_model

__all__ = [
    "COMPILE_BOUNDS",
    "CompiledModel",
    "LayerReport",
    "MemoryArea",
    "MemoryReport",
    "Placement",
    "VelaOptions",
    "VelaReport",
    "VelaRunner",
    "VelaServer",
    "compile_model",
    "read_report",
    "require_vela",
    "vela_version",
]
