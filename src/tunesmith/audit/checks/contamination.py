"""Contamination: a training row that contains a benchmark item.

What it finds: training rows whose messages share 13 consecutive words (`words`) with a text of `benchmarks`, 8 consecutive
words (`short_words`) with a text of 8 to 12 words, or a whole text of 5 to 7 words; and rows whose prompt is a near-duplicate
of a text of at least 8 words (see near-duplicate; `threshold`). Every text in every record of the named files counts as one
text. Without `benchmarks` it finds nothing. Words are compared without case, punctuation and spacing.
Why it matters: a score on a benchmark that was trained on measures memory.
Limits: paraphrases and translations are not found, nor texts of fewer than 5 words, such as most answers. Runs of words found
in more than `common_share` of the texts (and in more than two), or with fewer than 5 words outside `phrases`, are skipped; one
finding per file, at line 0, says how many and quotes one. A run of ordinary words can match by chance: a finding is a match of
words and nothing more.
Reference: Brown et al. 2020, appendix C (13-grams), arXiv:2005.14165; Dodge et al. 2021, arXiv:2104.08758.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import pyarrow as pa
from pydantic import Field

from tunesmith import tables
from tunesmith.artifacts import Action, Finding, Place
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, SPLIT_PHASE
from tunesmith.audit.references import ReferenceItem, References, read_items, references_digest
from tunesmith.audit.shared_ngrams import NgramMatch, covered_words, messages_with_shared_runs, run_spans
from tunesmith.text.near_duplicates import PairSimilarity, candidates_across
from tunesmith.text.ngram_index import NgramIndex, build_index
from tunesmith.text.normalize import normalize

UNBOUNDED_WORDS: Final = 1 << 40
FULL_COPY_SHARE: Final = 0.8
"""Share of an item's words from which a row counts as a full copy (an error)."""
MIN_ITEM_WORDS: Final = 5
"""Minimum length of an item in words."""
COMMON_PHRASES: Final = (
    "which of the following is",
    "choose the most appropriate option to complete the sentence",
    "answer the following question based on the passage above",
    "read the passage and answer the question that follows",
    "let us think about it step by step",
    "what is the best answer to the question",
    "none of the above is correct",
    "all of the above are correct",
)
"""Phrases common to most examinations."""


RunsByItem = dict[int, list[tuple[int, NgramMatch]]]
"""(message, run) pairs of one row, by item number."""


@CHECKS.register
@dataclass(frozen=True)
class Contamination:
    """One finding per row, about the item with which it shares the longest run."""

    id: ClassVar[str] = "contamination"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = SPLIT_PHASE

    benchmarks: References = ()
    words: Annotated[int, Field(ge=9)] = 13
    short_words: Annotated[int, Field(gt=MIN_ITEM_WORDS)] = 8
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    common_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    phrases: tuple[str, ...] = COMMON_PHRASES

    def examine(self, corpus: AuditTable) -> list[Finding]:
        items = [item for file in self.benchmarks for item in read_items(file)]
        if not items:
            return []
        indexes = self._indexes(items)
        findings = {}
        for row, runs_by_item in self._shared_runs(corpus, indexes, items):
            findings[row] = self._finding(corpus, row, runs_by_item, items)
        for row, item, similarity in self._near_duplicates(corpus.without(findings.keys()), items):
            reason = f"the prompt is a near-duplicate ({similarity:.0%}) of {_item_name(items[item])}"
            findings[row] = corpus.finding(self, row, reason, similarity=round(similarity, 4), severity="error")
        return [*findings.values(), *self._skipped_runs(indexes, items)]

    def _indexes(self, items: list[ReferenceItem]) -> tuple[NgramIndex, ...]:
        """Indexes of long items by runs of `words`, of short ones by `short_words`, and of the shortest as a whole."""
        texts = pa.array([item.text for item in items], type=pa.large_string())
        digest = f"{references_digest(self.benchmarks)} common={self.common_share}"
        sizes = (
            (self.words, UNBOUNDED_WORDS),
            (self.short_words, self.words - 1),
            (MIN_ITEM_WORDS, self.short_words - 1),
        )
        return tuple(
            build_index(
                texts,
                least,
                digest=digest,
                common_share=self.common_share,
                between=(least, most),
                whole=least == MIN_ITEM_WORDS,
            )
            for least, most in sizes
        )

    def _shared_runs(
        self, corpus: AuditTable, indexes: tuple[NgramIndex, ...], items: list[ReferenceItem]
    ) -> Iterator[tuple[int, RunsByItem]]:
        """(training row, its shared runs by item); each run is verified word by word."""
        runs_by_row: dict[int, RunsByItem] = {}
        for row, message, text, runs in messages_with_shared_runs(corpus, indexes):
            row_words = normalize(text).split()
            for run in runs:
                words = row_words[run.place : run.place + run.words]
                item_words = normalize(items[run.text].text).split()[run.at : run.at + run.words]
                if words == item_words and _words_outside_phrases(words, self.phrases) >= MIN_ITEM_WORDS:
                    runs_by_row.setdefault(row, {}).setdefault(run.text, []).append((message, run))
        yield from sorted(runs_by_row.items())

    def _finding(self, corpus: AuditTable, row: int, runs_by_item: RunsByItem, items: list[ReferenceItem]) -> Finding:
        text = min(runs_by_item, key=lambda text: (-max(run.words for _, run in runs_by_item[text]), text))
        runs, item, size = runs_by_item[text], items[text], len(normalize(items[text].text).split())
        share = covered_words([run for _, run in runs]) / size
        longest = max(run.words for _, run in runs)
        other_items = len({(items[other].reference, items[other].number) for other in runs_by_item}) - 1
        reason = f"{longest} words in a row are those of {_item_name(item)}, {share:.0%} of its {size} words"
        return corpus.finding(
            self,
            row,
            f"{reason}; {other_items} more items have runs in it" if other_items else reason,
            spans=run_spans(corpus, row, runs, kind="benchmark-text"),
            similarity=round(share, 4),
            severity="error" if share >= FULL_COPY_SHARE else "warning",
        )

    def _near_duplicates(self, corpus: AuditTable, items: list[ReferenceItem]) -> Iterator[tuple[int, int, float]]:
        """(training row, most similar item, similarity) for similarities at or above the threshold."""
        normals = [normalize(item.text) for item in items]
        long_items = [number for number, text in enumerate(normals) if text.count(" ") + 1 >= self.short_words]
        table = pa.table(
            {"row": pa.array(long_items, type=pa.int64()), "normal": pa.array([normals[n] for n in long_items])}
        )
        bands = tables.band_keys(tables.minhash_signatures(table, column="normal", row="row"), row="row")
        candidates = list(candidates_across(corpus.bands(corpus.split("train")), bands, threshold=self.threshold))
        rows = sorted({row for row, _ in candidates})
        prompts = corpus.signals.rows.column("normal").take(pa.array(rows, type=pa.int64())).to_pylist()
        likeness = PairSimilarity([*normals, *prompts], (), self.threshold)
        number_of = {row: number for number, row in enumerate(rows, len(normals))}
        best: dict[int, tuple[float, int]] = {}
        for row, item in ((row, item) for row, others in candidates for item in others):
            similarity = likeness.similarity(number_of[row], item)
            if similarity is not None:
                best[row] = max(best.get(row, (0.0, 0)), (similarity, -item))
        yield from ((row, -item, similarity) for row, (similarity, item) in sorted(best.items()))

    def _skipped_runs(self, indexes: tuple[NgramIndex, ...], items: list[ReferenceItem]) -> Iterator[Finding]:
        """One finding per file with the number of runs skipped because too many items contain them, and an example."""
        common: dict[str, list[str]] = {}
        for index in indexes:
            for text, start in index.common_ngrams():
                words = normalize(items[text].text).split()[start : start + index.length]
                common.setdefault(items[text].reference.name, []).append(" ".join(words))
        for name, runs in common.items():
            reason = f"{len(runs)} runs of words that many of the texts have are passed over, e.g. {runs[0]!r}"
            place = Place(row_id="", file=name, line=0)
            yield Finding(rule=self.id, severity="info", action=self.default_action, place=place, reason=reason)


def _item_name(item: ReferenceItem) -> str:
    return f"item {item.number} of {item.reference.name}"


def _words_outside_phrases(words: list[str], phrases: tuple[str, ...]) -> int:
    """Number of words outside the given phrases."""
    text = f" {' '.join(words)} "
    for phrase in phrases:
        text = text.replace(f" {normalize(phrase)} ", "  ")
    return len(text.split())
