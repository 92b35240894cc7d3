"""Split leakage: a training row that gives a held-out row away.

What it finds: training rows whose prompt equals that of a held-out row in normal form, is a near-duplicate of it (see
near-duplicate; another question to the same document is none), or has `words` words in a row in common with it. The
training row goes; the held-out row always stays.
Why it matters: what was seen in training measures memory, and the result looks better than it is.
Limits: paraphrases and translations are not found; nor is a held-out prompt shorter than `words` words inside a longer
training prompt. Runs that more than `common_share` of the held-out rows (and more than two) have are taken for a
template. Completions are not compared: many right answers are alike.
Reference: Brown et al. 2020, Language Models are Few-Shot Learners, appendix C (13-grams), arXiv:2005.14165.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import pyarrow as pa
from pyarrow import compute
from pydantic import Field

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, SPLIT_PHASE
from tunesmith.audit.shared_ngrams import SharedPromptRuns, decode_runs
from tunesmith.tables import WordTriples
from tunesmith.text.near_duplicates import (
    BoolArray,
    ColumnTexts,
    Int64Array,
    PairSimilarity,
    SimilarityCache,
    candidate_pairs_across,
)
from tunesmith.text.ngram_index import build_index


@CHECKS.register
@dataclass(frozen=True)
class SplitLeakage:
    """One finding a training row: equal, else near-duplicate, else shared run."""

    id: ClassVar[str] = "split-leakage"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "drop"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = SPLIT_PHASE

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    words: Annotated[int, Field(ge=5)] = 13
    common_share: Annotated[float, Field(ge=0, le=1)] = 0.01

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if corpus.split("test").num_rows == 0:
            return []
        findings: dict[int, Finding] = {}
        for row, other, similarity in self._near(corpus):
            how = "equal to" if similarity == 1.0 else f"a near-duplicate ({similarity:.0%}) of"
            findings[row] = corpus.finding(
                self, row, f"the prompt is {how} a held-out one", other=other, similarity=round(similarity, 4)
            )
        for row, other, length in self._runs(corpus):
            reason = f"{length} words in a row are those of a held-out prompt"
            findings.setdefault(row, corpus.finding(self, row, reason, other=other))
        return list(findings.values())

    def _near(self, corpus: AuditTable) -> Iterator[tuple[int, int, float]]:
        """(row, most similar held-out row, similarity) for rows at or above the threshold; equal prompts share every key."""
        train, test = corpus.split("train"), corpus.split("test")
        normals, prompts = (corpus.signals.table.column(name) for name in ("normal", "prompt"))
        likeness = PairSimilarity(ColumnTexts(normals), (), self.threshold, prompts=ColumnTexts(prompts))
        answers = SimilarityCache(partial(_similar_pairs, column=WordTriples.of(normals), likeness=likeness))
        best: dict[int, tuple[float, int]] = {}
        for rows, others in candidate_pairs_across(corpus.bands(train), corpus.bands(test), threshold=self.threshold):
            found = answers.similar(rows, others)
            answers.merge()
            for row, other in zip(rows[found].tolist(), others[found].tolist(), strict=True):
                best[row] = max(best.get(row, (0.0, 0)), (likeness.similarity(row, other) or 0.0, -other))
        for row, (similarity, other) in sorted(best.items()):
            yield row, -other, similarity

    def _runs(self, corpus: AuditTable) -> Iterator[tuple[int, int, int]]:
        """(row, held-out row, words) of the longest shared run of each row that has one."""
        test = corpus.split("test")
        texts, rows = test.column("normal").combine_chunks(), test.column("row").to_pylist()
        digest = hashlib.sha256("\n".join(texts.to_pylist()).encode()).hexdigest()
        index = build_index(
            texts, self.words, digest=f"{digest} common={self.common_share}", common_share=self.common_share
        )
        values = corpus.values(SharedPromptRuns((index,)))
        shared = compute.and_(
            compute.greater(compute.list_value_length(values), 0), compute.equal(corpus.table.column("split"), "train")
        )
        found = pa.table({"row": corpus.table.column("row"), "runs": values}).filter(shared)
        for row, value in zip(found.column("row").to_pylist(), found.column("runs").to_pylist(), strict=True):
            run = min(decode_runs(value), key=lambda run: (-run.words, run.text))
            yield row, rows[run.text], run.words


def _similar_pairs(rows: Int64Array, others: Int64Array, column: WordTriples, likeness: PairSimilarity) -> BoolArray:
    """Which pairs are alike; few are compared word by word that are not."""
    near = column.may_share(rows, others, likeness.threshold)
    pairs = zip(rows[near].tolist(), others[near].tolist(), strict=True)
    near[near] = [likeness.similarity(row, other) is not None for row, other in pairs]
    return near
