"""Errors of a board, grouped by what can be done about them."""

from __future__ import annotations

import errno

from bench.core.errors import BenchError, TargetError, TargetUnavailableError

__all__ = [
    "BoardError",
    "BoardUnavailableError",
    "CardError",
    "DriverLostError",
    "WrongBoardError",
    "volume_error",
]

_HELPLESS = {
    errno.ENOSPC: "make room on the card",
    errno.EDQUOT: "make room on the card",
    errno.EROFS: "cards are mounted read-only after errors: check it (fsck.vfat), and mount it "
    "again for writing",
    errno.EACCES: "mount the card so that this user may write (uid= of mount, or udisksctl mount)",
    errno.EPERM: "mount the card so that this user may write (uid= of mount, or udisksctl mount)",
    errno.EFBIG: "use a smaller image: targets.mps3.image_mib",
}


class BoardError(TargetError):
    """The board did not do what it should; the recovery steps may help."""


class CardError(TargetUnavailableError):
    """The SD card cannot take what must be written; a person has to help."""


class BoardUnavailableError(TargetUnavailableError):
    """There is no board, or not for us now: it was not found, is leased, or is quarantined."""


class WrongBoardError(TargetError):
    """The board's NPU or processor is not that of the settings; another board's may be."""


class DriverLostError(TargetError):
    """The process that drove a board of a pool died. This is no fault of board or job."""


def volume_error(number: int | None, what: str) -> BenchError:
    """The error for errno `number` on the card: a `CardError` if only a person can help."""
    if number in _HELPLESS:
        return CardError(what, cure=_HELPLESS[number])
    return BoardError(
        what, cure="the volume went away: check the USB cable, dmesg, and the automounter"
    )
