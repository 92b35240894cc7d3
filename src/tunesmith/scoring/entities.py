"""Entities in a row of tags, and how many of them two rows of tags share.

Lenient is what conlleval and seqeval's default mode count: I-x opens an entity where none of type x is open. Strict is IOB2 as
seqeval's strict mode reads it: an entity begins with B-x, and I-x behind anything else is none.
Reference: Tjong Kim Sang and De Meulder 2003, W03-0419; seqeval 1.2, MIT licence, whose figures the tests hold these to.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy

from tunesmith.artifacts import Score
from tunesmith.stats.bootstrap import FloatArray

EntityMode = Literal["lenient", "strict"]


class Entity(NamedTuple):
    """Words `start` to `end`, half-open."""

    kind: str
    start: int
    end: int


def find_entities(tags: Sequence[str], mode: EntityMode) -> list[Entity]:
    """The entities of a row, in order. A tag is `O`, or B- or I- (S- and E- too when lenient) and a type."""
    found: list[Entity] = []
    kind, start = "", 0
    for at, tag in enumerate([*tags, "O"]):
        place, _, named = tag.partition("-")
        goes_on = bool(kind) and place in _inside_prefixes(mode) and named == kind
        if kind and not goes_on:
            found.append(Entity(kind, start, at))
            kind = ""
        if not goes_on and tag != "O" and (mode == "lenient" or place == "B"):
            kind, start = named or place, at
        if kind and mode == "lenient" and place in ("E", "S"):
            found.append(Entity(kind, start, at + 1))
            kind = ""
    return found


def _inside_prefixes(mode: EntityMode) -> tuple[str, ...]:
    return ("I", "E") if mode == "lenient" else ("I",)


def entity_counts(score: Score, mode: EntityMode) -> tuple[int, int, int]:
    """Of one row: entities that are right, predicted, expected."""
    wanted, given = (set(find_entities(text.split(), mode)) for text in (score.expected, score.output))
    return len(wanted & given), len(given), len(wanted)


def entity_types_in(score: Score, mode: EntityMode) -> set[str]:
    """The types of the entities that are expected or predicted."""
    return {one.kind for text in (score.expected, score.output) for one in find_entities(text.split(), mode)}


def keep_entity_type(tags: str, kind: str) -> str:
    """A row of tags with those of other types taken out, as `O`."""
    return " ".join(tag if (tag.partition("-")[2] or tag) == kind else "O" for tag in tags.split())


def entity_count_table(scores: Sequence[Score], mode: EntityMode) -> FloatArray:
    """(n, 3): `counts` of every row."""
    return numpy.array([entity_counts(score, mode) for score in scores], dtype=numpy.float64).reshape(-1, 3)


def safe_ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """top / bottom, 0 where the bottom is 0."""
    found: FloatArray = numpy.divide(top, bottom, out=numpy.zeros_like(top), where=bottom > 0)
    return found
