r"""Text from outside, made safe to show: on a terminal, in a log, in a report.

A model's author chooses the names of its tensors and operators, and compilers, interpreters and
devices say what they like. A terminal obeys the control characters among that: an escape sequence
repaints what stands there, a line break forges a line of a test report, a bidirectional override
makes a name read backwards. `one_line` and `printable` show such characters instead of sending
them, as Python writes them in a literal: `\x1b`, `\n`, `\u202e`.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Sequence

__all__ = ["one_line", "paragraph", "printable", "shell_words", "without_tracebacks", "xml_text"]

#: Everything but the characters of XML 1.0 (its production Char).
_NO_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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


def paragraph(text: str) -> str:
    """`text` as `printable`, every line but the first indented.

    A line that begins in the first column can be taken for one of the program around it.
    """
    first, *others = printable(text).split("\n")
    return "\n".join([first, *(f"  {o}" if o and not o[0].isspace() else o for o in others)])


def without_tracebacks(text: str) -> str:
    """What a program in Python said, without the frames of its tracebacks: their errors stay.

    The frames are those of a tool's insides, and look like the bench's own failure.
    """
    kept, inside = [], False
    for line in text.splitlines():
        if line.startswith("Traceback (most recent call last):"):
            inside = True
        elif not (inside and (line.startswith(" ") or not line)):
            inside = False
            kept.append(line)
    return "\n".join(kept)


def shell_words(words: Sequence[str]) -> str:
    """A command of these `words` as one line to paste into bash, ksh or zsh.

    Words are quoted where they need it, so that a blank separates none and `$(...)` runs nothing;
    what `one_line` would not show is written as `$'...'`.
    """
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    if one_line(word) == word:
        return shlex.quote(word)
    shown = "".join(
        f"\\{c}" if c in "\\'" else c if _is_shown(c) else _shell_bytes(c) for c in word
    )
    return f"$'{shown}'"


def _shell_bytes(character: str) -> str:
    # Octal: of a hexadecimal escape the shells take as many digits as follow.
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))


def xml_text(text: str) -> str:
    """`text` with U+FFFD for every character that XML 1.0 does not have.

    These are the control characters but for tab and line ends, lone surrogates, U+FFFE, U+FFFF.
    """
    return text if text.isprintable() else _NO_XML.sub("\ufffd", text)


def _is_shown(character: str) -> bool:
    # Python does not count the spaces of other scripts as printable.
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
