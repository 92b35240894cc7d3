"""`Pattern`: a regular expression and a check of its matches. `Hit`: where a valid match is."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from tunesmith.artifacts import Severity


@dataclass(frozen=True)
class Pattern:
    """`regex` finds candidates; `check` returns how many characters of one are valid, from its start (0: none).

    Character classes and `(?i:` are ASCII. A group named `value` limits the hit to what must be hidden. Look-around has no
    groups inside, so that `prefilter` can drop it. White space is written out instead of `\\s`, which engines define
    differently.
    """

    kind: str
    regex: str
    check: Callable[[str], int] | None = None
    severity: Severity = "warning"


@dataclass(frozen=True, order=True)
class Hit:
    """Characters [start, end) of a text, and what they are."""

    start: int
    end: int
    kind: str


def find_hits(text: str, patterns: Sequence[Pattern]) -> list[Hit]:
    """Hits in order, without overlaps: the earlier pattern wins, and within a pattern the earlier match."""
    hits: list[Hit] = []
    for pattern in patterns:
        for hit in _matches(text, pattern):
            if all(hit.end <= other.start or hit.start >= other.end for other in hits):
                hits.append(hit)
    return sorted(hits)


def mask_hits(text: str, patterns: Sequence[Pattern]) -> str:
    """The text with each hit replaced by its kind in brackets."""
    parts, position = [], 0
    for hit in find_hits(text, patterns):
        parts += [text[position : hit.start], f"[{hit.kind}]"]
        position = hit.end
    return "".join([*parts, text[position:]])


def _matches(text: str, pattern: Pattern) -> Iterator[Hit]:
    """Matches that pass the check. After a match that fails, the search continues one character behind its start."""
    expression, position = _compiled(pattern.regex), 0
    group = "value" if "value" in expression.groupindex else 0
    while (match := expression.search(text, position)) is not None:
        start, end = match.span(group)
        valid = end - start if pattern.check is None else pattern.check(match.group(group))
        if valid > 0:
            yield Hit(start, start + valid, pattern.kind)
        position = start + valid if valid > 0 else match.start() + 1


@cache
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex, re.ASCII)
