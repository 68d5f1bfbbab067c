"""Text from outside never commands a terminal and never makes a line of its own."""

from __future__ import annotations

import traceback
import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.core.text import one_line, paragraph, printable, without_tracebacks, xml_text

#: Everything Python can hold, surrogates too.
anything = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dense_1/MatMul;dense_1/BiasAdd", "dense_1/MatMul;dense_1/BiasAdd"),
        ("Größe 名前 🎉", "Größe 名前 🎉"),
        ("no\u00a0break\u3000ideographic", "no\u00a0break\u3000ideographic"),
        ("x\x1b[2J\x1b]0;title\x07", r"x\x1b[2J\x1b]0;title\x07"),
        ("x\nFAILED tests/a.py::b", r"x\nFAILED tests/a.py::b"),
        ("x\r\x0b\x0c\x85\u2028\u2029y", r"x\r\x0b\x0c\x85\u2028\u2029y"),
        ("user\u202etxt.exe\u2066\u200f", r"user\u202etxt.exe\u2066\u200f"),
        ("\x9b31mred", r"\x9b31mred"),
        ("\ufffe\uffff\udc80\ufeff\U000e0041", r"\ufffe\uffff\udc80\ufeff\U000e0041"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert one_line(text) == shown


@given(anything)
def test_one_line_is_one_line_of_visible_characters(text: str) -> None:
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    categories = {unicodedata.category(c) for c in shown}
    assert categories.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    shown.encode("utf-8")
    assert one_line(shown) == shown


@given(anything)
def test_printable_keeps_lines_and_tabs_and_nothing_else_that_is_hidden(text: str) -> None:
    lines = printable(text).split("\n")
    assert len(lines) == text.count("\n") + 1
    for line, original in zip(lines, text.replace("\r\n", "\n").split("\n"), strict=True):
        assert line.split("\t") == [one_line(part) for part in original.split("\t")]


@given(anything)
def test_of_a_paragraph_only_the_first_line_begins_in_the_first_column(text: str) -> None:
    first, *others = paragraph(text).split("\n")
    assert first == printable(text).split("\n")[0]
    assert all(line == "" or line[0].isspace() for line in others)
    assert paragraph(paragraph(text)) == paragraph(text)


@pytest.mark.parametrize(
    "lacking", ["\ufffe\uffff", "\ud800\udbff\udc80\udfff", "\x00\x08\x0b\x0c\x0e\x1b\x1f"]
)
def test_characters_that_xml_lacks_are_replaced_and_no_others(lacking: str) -> None:
    fine = "\t\n\r\x7f\x85\u2028\ud7ff\ue000\ufffd\U00010000\U0010ffff"
    assert xml_text(fine + lacking + fine) == fine + "\ufffd" * len(lacking) + fine


@given(anything)
def test_whatever_it_is_xml_can_say_it(text: str) -> None:
    element = ElementTree.Element("x", said=xml_text(text))
    read = ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8"))
    # A parser makes one line end of both.
    assert read.attrib["said"].replace("\r", "\n") == xml_text(text).replace("\r", "\n")
    assert len(xml_text(text)) == len(text)


def test_an_error_forges_no_line_whatever_it_quotes() -> None:
    error = BenchError("cannot read x\nFAILED a::b\x1b[2J", cure="look\nFAILED c")
    assert str(error) == "cannot read x\n  FAILED a::b\\x1b[2J\n  -> look\n  FAILED c"
    assert BenchError(error.what, cure=error.cure).args == error.args


def test_of_a_traceback_the_error_is_kept() -> None:
    try:
        raise ValueError("first") from KeyError("cause")
    except ValueError:
        said = f"Warning: odd\n{traceback.format_exc()}done\n"
    assert without_tracebacks(said).splitlines() == [
        "Warning: odd",
        "KeyError: 'cause'",
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "ValueError: first",
        "done",
    ]
    assert without_tracebacks("  indented\n\nTraceback: hello") == "  indented\n\nTraceback: hello"
