"""Near duplicate: a training row that is almost an earlier one.

What it finds: prompts that share at least half (`threshold`) of their word triples with those of a row that is kept, after
case, signs and spaces are evened out and the template that all rows of a file share is taken off. Texts of fewer than
five words must be equal in that form. Rows with other answers, or under other system turns, are other examples: several
answers to one question are no copies. Nor are two questions to one document: blocks between blank lines and lines of 20
words or more that both prompts have are set aside, and of the words of what is left three quarters must be shared, too
(more with a higher `threshold`).
Why it matters: copies with a word changed are counted many times, and leave less room for what differs.
Limits: candidates meet under 32 bands of 4 MinHashes: of pairs at similarity 0.5 it misses about one in eight, at 0.6 one in
a hundred. Paraphrases and translations are not found. A template or document that only some rows share is not
told from the rest on the same line, and of more than 64 questions to one document the later ones are compared with the
first 64 alone. Prompts of signs alone are passed over.
Reference: Broder 1997, On the resemblance and containment of documents; Lee et al. 2022, arXiv:2107.06499.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, NEAR_DUPLICATE_PHASE
from tunesmith.tables import WordTriples
from tunesmith.text.near_duplicates import (
    BoolArray,
    ColumnTexts,
    Int64Array,
    PairSimilarity,
    filter_pairs,
    find_near_duplicates,
)
from tunesmith.text.normalize import normalize


@CHECKS.register
@dataclass(frozen=True)
class NearDuplicate:
    """Every dropped row is verified against a row that is kept: the lowest it is like."""

    id: ClassVar[str] = "near-duplicate"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "drop"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = NEAR_DUPLICATE_PHASE

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5

    def examine(self, corpus: AuditTable) -> list[Finding]:
        whole = corpus.signals.table
        systems, answers = (whole.column(name) for name in ("system", "completion"))
        columns = (
            WordTriples.of(whole.column("normal")),
            WordTriples.of(answers, normalize),
            WordTriples.of(systems, normalize),
        )
        likeness = PairSimilarity(
            ColumnTexts(whole.column("normal")),
            (_NormalizedTexts(ColumnTexts(systems)), _NormalizedTexts(ColumnTexts(answers))),
            self.threshold,
            prompts=ColumnTexts(whole.column("prompt")),
        )
        edges: dict[int, set[int]] = {}
        alike = partial(_similar_pairs, columns=columns, likeness=likeness)
        for row, leader in find_near_duplicates(corpus.bands(corpus.split("train")), alike, threshold=self.threshold):
            edges.setdefault(row, set()).add(leader)
        return [
            corpus.finding(
                self,
                row,
                _reason(similarity),
                other=kept,
                similarity=round(similarity, 4),
            )
            for row, kept, similarity in _resolve_duplicates(edges, likeness)
        ]


@dataclass(frozen=True)
class _NormalizedTexts:
    """Texts in normal form; none counts as empty."""

    texts: ColumnTexts

    def __getitem__(self, number: int, /) -> str:
        return normalize(self.texts[number] or "")


def _reason(similarity: float) -> str:
    if similarity == 1.0:
        return "the same words as an earlier prompt"
    return f"{similarity:.0%} of its word triples and those of an earlier prompt are shared"


def _row_similarity(row: int, other: int, likeness: PairSimilarity) -> float | None:
    similarity = likeness.similarity(row, other)
    return similarity if similarity is not None and likeness.other_texts_match(row, other) else None


def _similar_pairs(
    rows: Int64Array, others: Int64Array, columns: Sequence[WordTriples], likeness: PairSimilarity
) -> BoolArray:
    """Which pairs are alike; few are compared word by word that are not."""
    near = filter_pairs(columns, rows, others, threshold=likeness.threshold)
    pairs = zip(rows[near].tolist(), others[near].tolist(), strict=True)
    near[near] = [_row_similarity(row, other, likeness) is not None for row, other in pairs]
    return near


def _resolve_duplicates(edges: dict[int, set[int]], likeness: PairSimilarity) -> Iterable[tuple[int, int, float]]:
    """(row, kept row, similarity), row by row: a row goes only when it is like a row that stays."""
    kept_for: dict[int, int] = {}
    for row in sorted(edges):
        stays = sorted({kept_for.get(other, other) for other in edges[row]})
        for other in stays:
            found = other in edges[row]
            similarity = likeness.similarity(row, other) if found else _row_similarity(row, other, likeness)
            if similarity is not None:
                kept_for[row] = other
                yield row, other, similarity
                break
