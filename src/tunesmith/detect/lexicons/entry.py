"""Entries of lexicons: expressions written so that Python's `re` and the native RE2 read them alike."""

import re
from typing import Final

from pydantic import BaseModel, ConfigDict

from tunesmith.artifacts import Severity
from tunesmith.detect.word_files import Expression

GAP: Final = r"[ \t\n]+"
"""What a space of an expression matches."""


class LexiconEntry(BaseModel):
    """`regex` begins and ends inside a word and has no look-around, no `\\w`, `\\s` or `\\b`; a space matches any gap.

    A match does not count where `unless` matches within CONTEXT_CHARACTERS characters of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    severity: Severity
    regex: Expression
    unless: Expression = ""


def bounded_regex(regex: str) -> str:
    """The expression between word boundaries, as Python reads it."""
    return rf"\b(?:{with_gaps(regex)})\b"


def gate_regex(regex: str) -> str:
    """A superset for RE2, whose word boundaries are ASCII only: they are left out beside other letters."""
    return rf"\b(?:{with_gaps(regex)})\b" if regex.isascii() else f"(?:{with_gaps(regex)})"


def with_gaps(regex: str) -> str:
    """The expression with GAP for every space outside a character class."""
    return re.sub(r"(\[[^\]]*\])| ", lambda match: match.group(1) or GAP, regex)
