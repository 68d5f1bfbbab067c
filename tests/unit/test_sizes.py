"""Modules that fit one head, and folders that one can take in."""

from __future__ import annotations

from collections import Counter

from tests.support.bench_runs import ROOT

#: Lines of a module, modules of a folder.
LINES, MODULES = 300, 20

#: What is larger, and why.
LARGER: dict[str, str] = {}

PRODUCT = [path for room in ("bench", "models", "targets") for path in (ROOT / room).rglob("*.py")]


def test_modules_fit_one_head() -> None:
    assert PRODUCT
    large = {
        path.relative_to(ROOT).as_posix(): lines
        for path in PRODUCT
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINES
    }
    assert set(large) == set(LARGER), f"more than {LINES} lines: {large}"


def test_folders_can_be_taken_in() -> None:
    modules = [path for path in PRODUCT if path.name != "__init__.py"]
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in modules)
    assert not {folder: n for folder, n in counts.items() if n > MODULES}
