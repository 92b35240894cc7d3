"""Entry: an expression of a lexicon, written so that Python's `re` and the native RE2 read it alike."""

import re
from dataclasses import dataclass
from typing import Final

from tunesmith.artifacts import Severity

GAP: Final = r"[ \t\n]+"
"""What a space of an expression matches."""


@dataclass(frozen=True)
class LexiconEntry:
    """`regex` begins and ends inside a word and holds no look-around, no `\\w`, `\\s` or `\\b`; a space stands for any gap.

    It does not count where `unless` matches within NEAR characters of it.
    """

    kind: str
    severity: Severity
    regex: str
    unless: str = ""


def bounded_regex(regex: str) -> str:
    """The expression between word boundaries, as Python reads it."""
    return rf"\b(?:{with_gaps(regex)})\b"


def gate_regex(regex: str) -> str:
    """A superset for RE2, whose boundaries know ASCII alone: beside another letter they are left out."""
    return rf"\b(?:{with_gaps(regex)})\b" if regex.isascii() else f"(?:{with_gaps(regex)})"


def with_gaps(regex: str) -> str:
    """Spaces outside classes become GAP."""
    return re.sub(r"(\[[^\]]*\])| ", lambda hit: hit.group(1) or GAP, regex)
