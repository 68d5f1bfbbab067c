"""What two schemas of JUnit files allow, as tables: that of Jenkins' xUnit plugin, and Ant's.

There is no standard. These are the rules of `junit-10.xsd` (jenkinsci/xunit-plugin) and `JUnit.xsd`
(windyroad/JUnit-Schema) for the elements that the bench writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

__all__ = ["ANT", "JENKINS", "Rule", "deviations"]


@dataclass(frozen=True)
class Rule:
    """What an element may have."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    children: frozenset[str] = frozenset()
    #: Children that must be there.
    needed: frozenset[str] = frozenset()
    #: Attribute -> the pattern that its value must match.
    patterns: Mapping[str, str] = field(default_factory=dict)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DECIMAL = r"\d+(\.\d+)?"
_COUNTS = dict.fromkeys(("tests", "failures", "errors", "skipped"), r"\d+")
_RESULT = Rule(optional=_words("type message"))

JENKINS: Mapping[str, Rule] = {
    "testsuites": Rule(
        optional=_words("name time tests failures errors"),
        children=_words("testsuite"),
        patterns={"time": r"\d*(\.\d*)?"},
    ),
    "testsuite": Rule(
        required=_words("name tests failures errors"),
        optional=_words("group time skipped timestamp hostname id package file log url"),
        children=_words("testsuite properties testcase system-out system-err"),
        patterns={"time": r"\d*(\.\d*)?"},
    ),
    "testcase": Rule(
        required=_words("name"),
        optional=_words("time classname group"),
        children=_words("skipped error failure system-out system-err"),
    ),
    "properties": Rule(children=_words("property")),
    "property": Rule(required=_words("name value")),
    "failure": _RESULT,
    "error": _RESULT,
    "skipped": _RESULT,
    "system-out": Rule(),
}

ANT: Mapping[str, Rule] = {
    "testsuites": Rule(children=_words("testsuite")),
    "testsuite": Rule(
        required=_words("name timestamp hostname tests failures errors time package id"),
        optional=_words("skipped"),
        children=_words("properties testcase system-out system-err"),
        needed=_words("properties system-out system-err"),
        patterns={**_COUNTS, "time": _DECIMAL},
    ),
    "testcase": Rule(
        required=_words("name classname time"),
        children=_words("skipped error failure"),
        patterns={"time": _DECIMAL},
    ),
    "properties": Rule(children=_words("property")),
    "property": Rule(required=_words("name value")),
    "failure": Rule(required=_words("type"), optional=_words("message")),
    "error": Rule(required=_words("type"), optional=_words("message")),
    # Of any type, so with any attributes.
    "skipped": _RESULT,
    "system-out": Rule(),
}


def deviations(root: Element, rules: Mapping[str, Rule]) -> set[str]:
    """What `root` has or lacks against `rules`: `element@attribute`, `element/child`."""
    found: set[str] = set()
    for element in root.iter():
        rule, name = rules.get(element.tag), element.tag
        if rule is None:
            found.add(name)
            continue
        has = set(element.attrib)
        found |= {f"{name}@{one}" for one in has - rule.required - rule.optional}
        found |= {f"{name}@{one} is missing" for one in rule.required - has}
        children = {child.tag for child in element}
        found |= {f"{name}/{one}" for one in children - rule.children}
        found |= {f"{name}/{one} is missing" for one in rule.needed - children}
        for attribute, pattern in rule.patterns.items():
            if attribute in has and not re.fullmatch(pattern, element.attrib[attribute]):
                found.add(f"{name}@{attribute} is {element.attrib[attribute]!r}")
    return found
