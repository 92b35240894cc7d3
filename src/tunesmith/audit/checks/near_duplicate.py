"""Near duplicate: a training row that is almost identical to an earlier one.

What it finds: prompts that share at least half (`threshold`) of their word trigrams with a row that is kept, after case,
punctuation and spacing are normalized and the template shared by all rows of a file is removed. Prompts of fewer than five
words must be equal after normalization. Rows with a different answer or a different system prompt are kept: several answers to
one question are not copies. Two questions about one document are not copies either: text blocks between blank lines, and lines
of 20 words or more, that both prompts contain are set aside, and three quarters of the words that remain must be shared as well
(more with a higher `threshold`).
Why it matters: lightly edited copies are weighted many times and crowd out other rows.
Limits: candidate pairs come from 32 bands of 4 MinHashes: at similarity 0.5 about one pair in eight is missed, at 0.6 one in a
hundred. Paraphrases and translations are not found. A template or document that only some rows share is not separated from the
rest of its line, and when a document has more than 64 questions the later ones are compared with the first 64 only. Prompts
without words are skipped.
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
    """Every dropped row is verified against a kept row: the lowest-numbered similar one."""

    id: ClassVar[str] = "near-duplicate"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "drop"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = NEAR_DUPLICATE_PHASE

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5

    def examine(self, corpus: AuditTable) -> list[Finding]:
        rows = corpus.signals.rows
        systems, answers = (rows.column(name) for name in ("system", "completion"))
        columns = (
            WordTriples.of(rows.column("normal")),
            WordTriples.of(answers, normalize),
            WordTriples.of(systems, normalize),
        )
        likeness = PairSimilarity(
            ColumnTexts(rows.column("normal")),
            (_NormalizedTexts(ColumnTexts(systems)), _NormalizedTexts(ColumnTexts(answers))),
            self.threshold,
            prompts=ColumnTexts(rows.column("prompt")),
        )
        edges: dict[int, set[int]] = {}
        similar = partial(_similar_pairs, columns=columns, likeness=likeness)
        for row, kept_candidate in find_near_duplicates(
            corpus.bands(corpus.split("train")), similar, threshold=self.threshold
        ):
            edges.setdefault(row, set()).add(kept_candidate)
        return [
            corpus.finding(
                self,
                row,
                _reason(similarity),
                other=kept_row,
                similarity=round(similarity, 4),
            )
            for row, kept_row, similarity in _resolve_duplicates(edges, likeness)
        ]


@dataclass(frozen=True)
class _NormalizedTexts:
    """Normalized texts; None counts as empty."""

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
    """Mask of the similar pairs. A cheap prefilter leaves few dissimilar pairs to compare word by word."""
    near = filter_pairs(columns, rows, others, threshold=likeness.threshold)
    pairs = zip(rows[near].tolist(), others[near].tolist(), strict=True)
    near[near] = [_row_similarity(row, other, likeness) is not None for row, other in pairs]
    return near


def _resolve_duplicates(edges: dict[int, set[int]], likeness: PairSimilarity) -> Iterable[tuple[int, int, float]]:
    """(dropped row, kept row, similarity) in row order: a row is dropped only if it is similar to a row that is kept."""
    kept_for: dict[int, int] = {}
    for row in sorted(edges):
        kept_rows = sorted({kept_for.get(other, other) for other in edges[row]})
        for other in kept_rows:
            is_candidate = other in edges[row]
            similarity = likeness.similarity(row, other) if is_candidate else _row_similarity(row, other, likeness)
            if similarity is not None:
                kept_for[row] = other
                yield row, other, similarity
                break
