"""Protected work: a training row that repeats a text named by the data owner.

What it finds: training rows that contain a passage of one of `works` in which at least `words` words match, exactly or with
edits of up to `gap` words between matching runs of at least 8. Each finding names the file and the character of the work where
the passage begins, the longest run, and its share of the row. Separately, as `info`, the work whose style the rows of an author
or source are closest to, by Burrows's Delta. Without `works` it finds nothing.
Why it matters: a tuned model can repeat what it was trained on, and publishers need to know whose text that is.
Limits: rows are compared only with the named texts, and nothing is said about rights. Paraphrases and translations are not
found, nor passages changed at least once in every 8 words. The style comparison needs two works and 500 words (`style_words`)
of each group and work, is unreliable below 5,000 words, knows English only, and reflects genre and period as much as the
author: it is a distance, never a verdict.
Reference: Lee et al. 2022, arXiv:2107.06499; Burrows 2002, Delta, Literary and Linguistic Computing 17(3); Eder 2015, Does size
matter?, Digital Scholarship in the Humanities 30(2).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy
import pyarrow as pa
from pyarrow import compute
from pydantic import Field

from tunesmith.artifacts import Action, Finding, Place
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, SPLIT_PHASE
from tunesmith.audit.passages import Passage, find_passages
from tunesmith.audit.reference_text import ReferenceText
from tunesmith.audit.references import References, read_works, references_digest
from tunesmith.audit.shared_ngrams import messages_with_shared_runs, run_spans
from tunesmith.text.ngram_index import build_index
from tunesmith.text.ngrams import hash_words
from tunesmith.text.normalize import normalize
from tunesmith.text.style import Frequencies, burrows_delta, function_word_counts

MIN_RUN_WORDS: Final = 8
"""Minimum length of a run in words."""
MOSTLY_COPIED_SHARE: Final = 0.5
"""Share of a row from which a passage makes it an error."""
MIN_STYLE_WORKS: Final = 2
"""Minimum number of works for a style comparison."""
BATCH_ROWS: Final = 50_000


@CHECKS.register
@dataclass(frozen=True)
class ProtectedWork:
    """One finding per row, about the passage with the most matching words."""

    id: ClassVar[str] = "protected-work"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = SPLIT_PHASE

    works: References = ()
    words: Annotated[int, Field(ge=MIN_RUN_WORDS)] = 25
    gap: Annotated[int, Field(ge=0, le=MIN_RUN_WORDS)] = 3
    style_words: Annotated[int, Field(ge=500)] = 500

    def examine(self, corpus: AuditTable) -> list[Finding]:
        works = [ReferenceText(item) for file in self.works for item in read_works(file)]
        if not works:
            return []
        return [*self._passage_findings(corpus, works), *self._style_findings(corpus, works)]

    def _passage_findings(self, corpus: AuditTable, works: list[ReferenceText]) -> Iterator[Finding]:
        """One finding per row with a passage; each run is verified word by word."""
        texts = pa.array([work.item.text for work in works], type=pa.large_string())
        index = build_index(texts, MIN_RUN_WORDS, digest=references_digest(self.works))
        passages_by_row: dict[int, list[tuple[int, Passage]]] = {}
        for row, message, text, runs in messages_with_shared_runs(corpus, (index,)):
            row_words = normalize(text).split()
            verified = [
                run for run in runs if row_words[run.place : run.place + run.words] == works[run.text].words(*run[2:])
            ]
            long_passages = [passage for passage in find_passages(verified, self.gap) if passage.words >= self.words]
            if long_passages:
                passages_by_row.setdefault(row, []).extend((message, passage) for passage in long_passages)
        for row, passages in sorted(passages_by_row.items()):
            yield self._finding(corpus, row, passages, works)

    def _finding(
        self, corpus: AuditTable, row: int, passages: list[tuple[int, Passage]], works: list[ReferenceText]
    ) -> Finding:
        _, main = max(passages, key=lambda pair: (pair[1].words, -pair[1].text))
        work, start = works[main.text], main.runs[0].at
        share = _covered_words(passages) / _row_words(corpus, row)
        item = work.item
        where = (
            f"{item.reference.name}{f':{item.line}' if item.line > 1 else ''} from character {work.character(start)} on"
        )
        length = (
            f"{main.words} words in a row" if len(main.runs) == 1 else f"{main.words} words in {len(main.runs)} runs"
        )
        longest = "" if len(main.runs) == 1 else f" (the longest of {main.longest})"
        return corpus.finding(
            self,
            row,
            f"{length}{longest} are those of {where}; {share:.0%} of the row's words",
            spans=run_spans(
                corpus,
                row,
                [(message, run) for message, passage in passages for run in passage.runs],
                kind="protected-text",
            ),
            similarity=round(share, 4),
            severity="error" if share >= MOSTLY_COPIED_SHARE else "warning",
        )

    def _style_findings(self, corpus: AuditTable, works: list[ReferenceText]) -> Iterator[Finding]:
        """For every author, or source if no author is named, the work whose style its rows are closest to."""
        texts = pa.array([work.item.text for work in works], type=pa.large_string())
        work_counts = function_word_counts(texts, numpy.arange(len(works)), len(works))
        large_works = [n for n, size in enumerate(work_counts[1]) if size >= self.style_words]
        if len(large_works) < MIN_STYLE_WORKS:
            return
        names, files, counts, sizes = self._groups(corpus)
        large_groups = [n for n, size in enumerate(sizes) if size >= self.style_words]
        if not large_groups:
            return
        distances = burrows_delta(
            numpy.vstack([work_counts[0][large_works], counts[large_groups]]),
            numpy.concatenate([work_counts[1][large_works], sizes[large_groups]]),
        )
        for index, group in enumerate(large_groups, len(large_works)):
            ranked = sorted(zip(distances[index, : len(large_works)].tolist(), large_works, strict=True))
            (nearest_distance, work), (next_distance, _) = ranked[:2]
            reason = (
                f"the style of {names[group]!r} ({sizes[group]:.0f} words) is nearest to {works[work].item.reference.name}: "
                f"Burrows's Delta {nearest_distance:.2f}, to the next {next_distance:.2f}; a distance, no verdict"
            )
            place = Place(row_id="", file=files[group], line=0)
            yield Finding(rule=self.id, severity="info", action=self.default_action, place=place, reason=reason)

    def _groups(self, corpus: AuditTable) -> tuple[list[str], list[str], Frequencies, Frequencies]:
        """Name and first file of each author or source, and counts of its function words and of all words in its completions."""
        table = corpus.split("train")
        name = compute.coalesce(table.column("author"), table.column("source"), table.column("file"))
        codes = name.combine_chunks().dictionary_encode()
        texts = compute.coalesce(table.column("completion"), table.column("prompt"))
        numbers = numpy.asarray(codes.indices, dtype=numpy.int64)
        first = numpy.unique(numbers, return_index=True)[1]
        files = table.column("file").take(pa.array(first)).to_pylist()
        names = codes.dictionary.to_pylist()
        counts, sizes = numpy.zeros((len(names), 0)), numpy.zeros(len(names))
        for start in range(0, len(numbers), BATCH_ROWS):
            batch = texts.slice(start, BATCH_ROWS).combine_chunks()
            batch_counts, batch_sizes = function_word_counts(batch, numbers[start : start + BATCH_ROWS], len(names))
            counts, sizes = batch_counts if start == 0 else counts + batch_counts, sizes + batch_sizes
        return names, files, counts, sizes


def _covered_words(passages: list[tuple[int, Passage]]) -> int:
    """Number of words of a row inside its passages, each counted once."""
    total, ends = 0, dict.fromkeys((message for message, _ in passages), 0)
    for message, run in sorted(
        ((message, run) for message, passage in passages for run in passage.runs), key=lambda pair: pair[1].place
    ):
        total += max(0, run.place + run.words - max(ends[message], run.place))
        ends[message] = max(ends[message], run.place + run.words)
    return total


def _row_words(corpus: AuditTable, row: int) -> int:
    start, end = corpus.signals.message_range(row)
    return len(hash_words(corpus.signals.messages.column("text").slice(start, end - start).combine_chunks()).numbers)
