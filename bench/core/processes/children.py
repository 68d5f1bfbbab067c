"""Starting Python for our own work, so that it finds our packages and no foreign ones.

`python -m` and `python -c` put the working directory first on the import path, and a user's working
directory may contain a `tensorflow.py`. So may the directory of our packages, which in a checkout
is also the working directory. Therefore the child takes only our top-level packages from there.
Their modules are found through them, and everything else where Python is installed.
"""

from __future__ import annotations

import sys

from bench.core.own_names import PACKAGES, PREFIX, ROOT

__all__ = ["python_command"]

# What is imported from there, and where it is. Installed, all is inside of one package.
_NAMES = PREFIX.removesuffix(".") or ", ".join(PACKAGES)
_ROOT = str(ROOT.parent if PREFIX else ROOT)

# An empty entry of the import path is the working directory.
_BEGIN = f"""\
import sys
sys.path[:] = [{_ROOT!r}, *filter(None, sys.path)]
import {_NAMES}
sys.path.remove({_ROOT!r})
"""


def python_command(code: str) -> list[str]:
    """The command that runs `code` in another Python like this one.

    `code` may import our own modules, from this tree, and installed ones. It may import nothing
    from the working directory, unless `PYTHONPATH` names that directory.
    """
    return [sys.executable, "-c", _BEGIN + code]
