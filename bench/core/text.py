r"""Text from outside, made safe to show: on a terminal, in a log, in a report.

A model's author chooses the names of its tensors and operators, and compilers, interpreters and
devices say what they like. A terminal obeys the control characters among that: an escape sequence
repaints what stands there, a line break forges a line of a test report, a bidirectional override
makes a name read backwards. `one_line` and `printable` show such characters instead of sending
them, as Python writes them in a literal: `\x1b`, `\n`, `\u202e`.
"""

from __future__ import annotations

import unicodedata

__all__ = ["one_line", "printable"]


def one_line(text: str) -> str:
    """`text` as one line: a name, or a sentence that somebody else wrote.

    Escaped is what Unicode calls control, format (the bidirectional marks and overrides among
    them), surrogate, private or unassigned, and what ends a line. Text without such characters
    stays as it is.
    """
    if text.isprintable():
        return text
    return "".join(c if _is_shown(c) else _escaped(c) for c in text)


def printable(text: str) -> str:
    """`text` of several lines: its line breaks and tabs stay, of the rest what `one_line` keeps."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(one_line, line.split("\t"))) for line in lines)


def _is_shown(character: str) -> bool:
    # Python does not count the spaces of other scripts as printable.
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
