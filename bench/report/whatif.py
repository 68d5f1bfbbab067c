"""The answer to a what-if, as text for a terminal of 90 columns and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.table import Table

from bench.report.comparison.markdown import code_span
from bench.report.table import render
from bench.report.whatif_words import (
    Rows,
    break_even_rows,
    closing,
    cycle_rows,
    knee_words,
    memory_modes,
    opening,
    output_rows,
    size_rows,
)
from bench.whatif.answer import WhatIfAnswer

__all__ = ["whatif_markdown", "whatif_text"]

_WIDTH = 90
#: Layers whose break-even is shown; the JSON has all.
_LAYERS = 3
_SIZES = "sizes in KiB"
_CYCLES = "NPU cycles at so many MACs (estimate); * is the knee"
_OUTPUTS = "outputs, compared with the model as it is"
_WAITING = "layers that wait for their weights in the model as it is"


def whatif_text(answer: WhatIfAnswer) -> str:
    """`answer` for people; the JSON has what is left out here."""
    return "\n".join(_text(answer)) + "\n"


def _text(answer: WhatIfAnswer) -> Iterator[str]:
    for line in opening(answer):
        yield _wrapped(line)
    for mode in memory_modes(answer):
        yield from ("", f"{mode.value}: {_SIZES}", _table(size_rows(answer, mode)))
        yield from ("", f"{mode.value}: {_CYCLES}", _table(cycle_rows(answer, mode)))
        yield from (_wrapped(f"  {line}") for line in knee_words(answer, mode))
        waiting = break_even_rows(answer, mode, _LAYERS)
        if waiting.rows:
            yield from ("", f"{mode.value}: {_WAITING}", _table(waiting))
    yield from ("", _OUTPUTS, _table(output_rows(answer)), "")
    yield from map(_wrapped, closing(answer))


def _table(rows: Rows) -> str:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="none")
    table.add_column("")
    last = len(rows.headings) - 1
    for place, heading in enumerate(rows.headings):
        is_text = place == 0 or (place == last and rows.last_is_text)
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    for row in rows.rows:
        table.add_row("", *row)
    lines = render([table], _WIDTH).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _wrapped(line: str) -> str:
    return textwrap.fill(line, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def whatif_markdown(answer: WhatIfAnswer) -> str:
    """`answer` as a comment for a pull request."""
    return "\n".join(_markdown(answer)) + "\n"


def _markdown(answer: WhatIfAnswer) -> Iterator[str]:
    first, *others = opening(answer, code_span)
    yield from (f"**What if:** {first}", "")
    yield from (f"- {line}" for line in others)
    for mode in memory_modes(answer):
        yield from ("", f"{mode.value}: {_SIZES}", "")
        yield from _markdown_table(size_rows(answer, mode))
        yield from ("", f"{mode.value}: {_starred(_CYCLES)}", "")
        yield from _markdown_table(cycle_rows(answer, mode))
        yield ""
        yield from (f"- {line}" for line in knee_words(answer, mode))
        waiting = break_even_rows(answer, mode, name=code_span)
        if waiting.rows:
            yield from ("", f"<details><summary>{mode.value}: {_WAITING}</summary>", "")
            yield from _markdown_table(waiting)
            yield from ("", "</details>")
    yield from ("", f"{_OUTPUTS.capitalize()}:", "")
    yield from _markdown_table(output_rows(answer))
    yield ""
    yield from closing(answer)


def _markdown_table(rows: Rows) -> Iterator[str]:
    yield _markdown_row([heading.strip() for heading in rows.headings])
    last = len(rows.headings) - 1
    left = [place == 0 or (place == last and rows.last_is_text) for place in range(last + 1)]
    yield _markdown_row(["---" if one else "---:" for one in left])
    for name, *figures in rows.rows:
        yield _markdown_row([name, *(_starred(figure.strip()) for figure in figures)])


def _markdown_row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _starred(text: str) -> str:
    """`text` with its stars as they are: Markdown takes them for emphasis."""
    return text.replace("*", "\\*")
