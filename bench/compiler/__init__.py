"""The adapter to Arm's Vela: its options, how it is run, and its reports.

`compile_model` turns a quantised `.tflite` and `VelaOptions` into a `CompiledModel`, whose
`VelaReport` is read from Vela's CSV files (never from its printed text). The package knows nothing
of targets, cells or caches.
"""

from bench.compiler.installation import VelaInstallation, beside_the_bench, vela_version
from bench.compiler.installing import install_vela
from bench.compiler.lock_files import LockFile, find_lock, is_vela_version, shipped_locks
from bench.compiler.options import VelaOptions
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
    "LockFile",
    "MemoryArea",
    "MemoryReport",
    "Placement",
    "VelaInstallation",
    "VelaOptions",
    "VelaReport",
    "VelaRunner",
    "VelaServer",
    "beside_the_bench",
    "compile_model",
    "find_lock",
    "install_vela",
    "is_vela_version",
    "read_report",
    "shipped_locks",
    "vela_version",
]
