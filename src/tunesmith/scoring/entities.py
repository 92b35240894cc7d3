"""Entities in a sequence of tags, and how many of them two sequences share.

Lenient counts as conlleval and seqeval's default mode do: I-x begins an entity where none of type x is open. Strict is IOB2 as
seqeval's strict mode reads it: an entity begins with B-x, and I-x after anything else is ignored.
Reference: Tjong Kim Sang and De Meulder 2003, W03-0419; seqeval 1.2, MIT licence, against whose results this is tested.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy

from tunesmith.artifacts import Score
from tunesmith.stats.bootstrap import FloatArray

EntityMode = Literal["lenient", "strict"]


class Entity(NamedTuple):
    """An entity of type `kind` over words `start` to `end`, half-open."""

    kind: str
    start: int
    end: int


def find_entities(tags: Sequence[str], mode: EntityMode) -> list[Entity]:
    """The entities of a sequence, in order. A tag is `O`, or B- or I- (S- and E- too when lenient) and a type."""
    entities: list[Entity] = []
    kind, start = "", 0
    for at, tag in enumerate([*tags, "O"]):
        prefix, _, tag_type = tag.partition("-")
        continues = bool(kind) and prefix in _inside_prefixes(mode) and tag_type == kind
        if kind and not continues:
            entities.append(Entity(kind, start, at))
            kind = ""
        if not continues and tag != "O" and (mode == "lenient" or prefix == "B"):
            kind, start = tag_type or prefix, at
        if kind and mode == "lenient" and prefix in ("E", "S"):
            entities.append(Entity(kind, start, at + 1))
            kind = ""
    return entities


def _inside_prefixes(mode: EntityMode) -> tuple[str, ...]:
    return ("I", "E") if mode == "lenient" else ("I",)


def entity_counts(score: Score, mode: EntityMode) -> tuple[int, int, int]:
    """Entities of one row that are correct, predicted, expected."""
    expected, predicted = (set(find_entities(text.split(), mode)) for text in (score.expected, score.output))
    return len(expected & predicted), len(predicted), len(expected)


def entity_types_in(score: Score, mode: EntityMode) -> set[str]:
    """The types of the entities that are expected or predicted."""
    return {entity.kind for text in (score.expected, score.output) for entity in find_entities(text.split(), mode)}


def keep_entity_type(tags: str, kind: str) -> str:
    """A sequence of tags with the tags of other types replaced by `O`."""
    return " ".join(tag if (tag.partition("-")[2] or tag) == kind else "O" for tag in tags.split())


def entity_count_table(scores: Sequence[Score], mode: EntityMode) -> FloatArray:
    """(n, 3): `entity_counts` of every row."""
    return numpy.array([entity_counts(score, mode) for score in scores], dtype=numpy.float64).reshape(-1, 3)


def safe_ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """top / bottom, 0 where the bottom is 0."""
    result: FloatArray = numpy.divide(top, bottom, out=numpy.zeros_like(top), where=bottom > 0)
    return result
