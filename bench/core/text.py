r"""Text from outside, made safe to show: on a terminal, in a log, in a report.

A model's author chooses the names of its tensors and operators, and compilers, interpreters and
devices may print anything. A terminal obeys control characters: an escape sequence overwrites its
contents, a line break forges a line of a test report, a bidirectional override reverses a name.
`one_line` and `printable` show such characters instead of sending them, in the form of Python's
literals: `\x1b`, `\n`, `\u202e`.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Sequence

__all__ = [
    "counted",
    "one_line",
    "paragraph",
    "printable",
    "shell_words",
    "without_tracebacks",
    "xml_text",
]

#: Everything except the characters of XML 1.0 (its production Char).
_NO_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def one_line(text: str) -> str:
    """`text` as one line, for a name or a sentence from outside.

    It escapes what Unicode calls control, format (which includes bidirectional marks and
    overrides), surrogate, private or unassigned, and line ends. Other text is unchanged.
    """
    if text.isprintable():
        return text
    return "".join(c if _is_shown(c) else _escaped(c) for c in text)


def printable(text: str) -> str:
    """`text` of several lines: line breaks and tabs stay, the rest is as in `one_line`."""
    if text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(one_line, line.split("\t"))) for line in lines)


def paragraph(text: str) -> str:
    """Like `printable`, with every line except the first indented.

    A line that begins in the first column could be mistaken for a line of the program around it.
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

    Words are quoted if necessary, so blanks do not separate them and `$(...)` runs nothing. What
    `one_line` would escape is written as `$'...'`.
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
    # Octal, because shells take any number of digits of a hexadecimal escape.
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))


def counted(number: int, word: str) -> str:
    """`1 cell`, `1,000 cells`; for words whose plural is an s."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def xml_text(text: str) -> str:
    """`text` with U+FFFD for every character that XML 1.0 does not have.

    These are the control characters (except tab and line ends), lone surrogates, U+FFFE and U+FFFF.
    """
    return text if text.isprintable() else _NO_XML.sub("\ufffd", text)


def _is_shown(character: str) -> bool:
    # Python does not count the spaces of other scripts as printable.
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
