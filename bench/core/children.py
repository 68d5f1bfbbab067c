"""Starting Python for work of our own, so that it finds our packages and no stranger's.

`python -m` and `python -c` put the working directory first on the import path, and a user's
working directory may hold a `tensorflow.py`. So may the directory our packages lie in, which in
a checkout is the working directory too. The child therefore takes only our top-level packages
from there; their modules are found through them, and everything else where Python is installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["python_command"]

_ROOT = str(Path(__file__).resolve().parents[2])

# An empty entry of the import path is the working directory, whichever that is.
_BEGIN = f"""\
import sys
sys.path[:] = [{_ROOT!r}, *filter(None, sys.path)]
import bench, models, targets
sys.path.remove({_ROOT!r})
"""


def python_command(code: str) -> list[str]:
    """The command that runs `code` in another Python like this one.

    `code` may import our own modules, this very tree's, and installed ones; nothing that lies in
    the working directory, save where `PYTHONPATH` names that directory.
    """
    return [sys.executable, "-c", _BEGIN + code]
