"""Split leakage: a training row that reveals a held-out row.

What it finds: training rows whose prompt equals a held-out prompt after normalization, is a near-duplicate of one (see
near-duplicate; another question about the same document is not), or shares `words` consecutive words with one. The training
row is dropped; the held-out row always stays.
Why it matters: scores on rows seen in training measure memory and overstate quality.
Limits: paraphrases and translations are not found, nor a held-out prompt shorter than `words` words inside a longer training
prompt. Runs of words found in more than `common_share` of the held-out rows (and in more than two) count as a template.
Completions are not compared: many correct answers are alike.
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
    """One finding per training row: equal prompt, else near-duplicate, else shared run."""

    id: ClassVar[str] = "split-leakage"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "drop"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = SPLIT_PHASE

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    words: Annotated[int, Field(ge=5)] = 13
    common_share: Annotated[float, Field(ge=0, le=1)] = 0.01

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if corpus.split("test").num_rows == 0:
            return []
        findings: dict[int, Finding] = {}
        for row, other, similarity in self._near(corpus):
            relation = "equal to" if similarity == 1.0 else f"a near-duplicate ({similarity:.0%}) of"
            findings[row] = corpus.finding(
                self, row, f"the prompt is {relation} a held-out one", other=other, similarity=round(similarity, 4)
            )
        for row, other, length in self._runs(corpus):
            reason = f"{length} words in a row are those of a held-out prompt"
            findings.setdefault(row, corpus.finding(self, row, reason, other=other))
        return list(findings.values())

    def _near(self, corpus: AuditTable) -> Iterator[tuple[int, int, float]]:
        """(row, most similar held-out row, similarity) at or above the threshold; equal prompts share every band key."""
        train, test = corpus.split("train"), corpus.split("test")
        normals, prompts = (corpus.signals.rows.column(name) for name in ("normal", "prompt"))
        likeness = PairSimilarity(ColumnTexts(normals), (), self.threshold, prompts=ColumnTexts(prompts))
        answers = SimilarityCache(partial(_similar_pairs, column=WordTriples.of(normals), likeness=likeness))
        best: dict[int, tuple[float, int]] = {}
        for rows, others in candidate_pairs_across(corpus.bands(train), corpus.bands(test), threshold=self.threshold):
            similar = answers.similar(rows, others)
            answers.merge()
            for row, other in zip(rows[similar].tolist(), others[similar].tolist(), strict=True):
                best[row] = max(best.get(row, (0.0, 0)), (likeness.similarity(row, other) or 0.0, -other))
        for row, (similarity, other) in sorted(best.items()):
            yield row, -other, similarity

    def _runs(self, corpus: AuditTable) -> Iterator[tuple[int, int, int]]:
        """(row, held-out row, words) of the longest shared run of each row."""
        test = corpus.split("test")
        texts, rows = test.column("normal").combine_chunks(), test.column("row").to_pylist()
        digest = hashlib.sha256("\n".join(texts.to_pylist()).encode()).hexdigest()
        index = build_index(
            texts, self.words, digest=f"{digest} common={self.common_share}", common_share=self.common_share
        )
        values = corpus.values(SharedPromptRuns((index,)))
        shared = compute.and_(
            compute.greater(compute.list_value_length(values), 0), compute.equal(corpus.rows.column("split"), "train")
        )
        with_runs = pa.table({"row": corpus.rows.column("row"), "runs": values}).filter(shared)
        for row, value in zip(with_runs.column("row").to_pylist(), with_runs.column("runs").to_pylist(), strict=True):
            run = min(decode_runs(value), key=lambda run: (-run.words, run.text))
            yield row, rows[run.text], run.words


def _similar_pairs(rows: Int64Array, others: Int64Array, column: WordTriples, likeness: PairSimilarity) -> BoolArray:
    """Mask of the similar pairs. A cheap prefilter leaves few dissimilar pairs to compare word by word."""
    near = column.may_share(rows, others, likeness.threshold)
    pairs = zip(rows[near].tolist(), others[near].tolist(), strict=True)
    near[near] = [likeness.similarity(row, other) is not None for row, other in pairs]
    return near
