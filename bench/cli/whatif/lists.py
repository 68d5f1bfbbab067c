"""What the lists on the command line of `bench whatif` mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.tflite.compression.points import Point
    from targets.ethos_u55.accelerators import Accelerator
    from targets.ethos_u55.memory_modes import MemoryMode

__all__ = ["asked_macs", "asked_modes", "asked_points"]


def asked_points(sparsity: str, clusters: str, *, combine: bool) -> tuple[Point, ...]:
    """The points that two lists name. Raises `ConfigError` for what is no share or number."""
    from bench.core.errors import ConfigError
    from bench.tflite.compression.points import points_of

    shares = _numbers("--sparsity", sparsity)
    counts = _numbers("--clusters", clusters)
    for share in shares:
        if not 0 < share < 100:
            raise ConfigError(
                f"--sparsity {share:g}: is no share of zeros between 0 and 100 per cent"
            )
    for count in counts:
        if count != int(count) or not 2 <= count <= 256:
            raise ConfigError(
                f"--clusters {count:g}: is no number of different weights from 2 to 256"
            )
    if not shares and not counts:
        raise ConfigError("--sparsity and --clusters are empty, so there is nothing to try")
    return points_of(
        [share / 100 for share in shares], [int(count) for count in counts], combined=combine
    )


def _numbers(option: str, text: str) -> list[float]:
    """The numbers in `text`, which commas separate; none if it is empty."""
    from bench.core.errors import ConfigError

    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ConfigError(
            f"{option} {text}: is no list of numbers", cure="write it as in 50,80"
        ) from error


def asked_macs(text: str) -> tuple[Accelerator, ...]:
    """The accelerators of a list of MAC counts. Raises `ConfigError` if there is none such."""
    from bench.core.errors import ConfigError
    from targets.ethos_u55.accelerators import Accelerator

    known = [int(each) for each in Accelerator]
    found = dict.fromkeys(_numbers("--macs", text))
    if not found or any(number not in known for number in found):
        raise ConfigError(
            f"--macs {text}: an Ethos-U55 has {', '.join(map(str, known))} MACs",
            cure="write it as in 64,128",
        )
    return tuple(sorted(Accelerator(int(number)) for number in found))


def asked_modes(names: list[str] | None) -> tuple[MemoryMode, ...]:
    """The memory modes of these names. Raises `ConfigError` for an unknown one."""
    from bench.core.errors import ConfigError
    from bench.core.schema import suggest
    from targets.ethos_u55.memory_modes import MemoryMode

    known = [mode.value for mode in MemoryMode]
    for name in names or ():
        if name not in known:
            raise ConfigError(f"--memory-mode {name}: unknown; {suggest(name, known)}")
    return tuple(dict.fromkeys(map(MemoryMode, names or [MemoryMode.SHARED_SRAM])))
