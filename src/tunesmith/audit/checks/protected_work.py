"""Protected work: a training row that repeats a text which the owner of the data named.

What it finds: training rows that hold a passage of one of `works` in which at least `words` words agree: word for word, or with
edits of up to `gap` words between runs of at least 8 that agree. It names the file and the character of the work where the
passage begins, the longest run, and how much of the row it is. Apart from that, as `info`, whose style the rows of an author
or source come nearest to, by Burrows's Delta. Without `works` it finds nothing.
Why it matters: a tuned model can repeat what it was trained on, and whose text that is matters to whoever publishes it.
Limits: it compares with the named texts alone, and says nothing about rights. Paraphrases and translations are not found, nor
passages that are changed at least once in every 8 words. Style needs two works and 500 words (`style_words`) of a group and of
each work, is unreliable below 5,000, knows English words only, and follows genre and period as much as the author: it is a
distance, never a verdict.
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
"""Words of the shortest run that is looked for."""
MOSTLY_COPIED_SHARE: Final = 0.5
"""A row of which this share is a passage is little else."""
MIN_STYLE_WORKS: Final = 2
"""Works between which a style can be nearer to one than to another."""
BATCH_ROWS: Final = 50_000


@CHECKS.register
@dataclass(frozen=True)
class ProtectedWork:
    """One finding a row, about the passage in which most words agree."""

    id: ClassVar[str] = "protected-work"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = SPLIT_PHASE

    works: References = ()
    words: Annotated[int, Field(ge=MIN_RUN_WORDS)] = 25
    gap: Annotated[int, Field(ge=0, le=MIN_RUN_WORDS)] = 3
    style_words: Annotated[int, Field(ge=500)] = 500

    def examine(self, corpus: AuditTable) -> list[Finding]:
        works = [ReferenceText(item) for file in self.works for item in read_works(file)]
        if not works:
            return []
        return [*self._repeated(corpus, works), *self._alike(corpus, works)]

    def _repeated(self, corpus: AuditTable, works: list[ReferenceText]) -> Iterator[Finding]:
        """A finding for every row with a passage, each run compared word by word."""
        texts = pa.array([work.item.text for work in works], type=pa.large_string())
        index = build_index(texts, MIN_RUN_WORDS, digest=references_digest(self.works))
        found: dict[int, list[tuple[int, Passage]]] = {}
        for row, message, text, runs in messages_with_shared_runs(corpus, (index,)):
            mine = normalize(text).split()
            true = [run for run in runs if mine[run.place : run.place + run.words] == works[run.text].words(*run[2:])]
            long = [one for one in find_passages(true, self.gap) if one.words >= self.words]
            if long:
                found.setdefault(row, []).extend((message, one) for one in long)
        for row, passages in sorted(found.items()):
            yield self._finding(corpus, row, passages, works)

    def _finding(
        self, corpus: AuditTable, row: int, passages: list[tuple[int, Passage]], works: list[ReferenceText]
    ) -> Finding:
        _, main = max(passages, key=lambda one: (one[1].words, -one[1].text))
        work, start = works[main.text], main.runs[0].at
        share = _covered_words(passages) / _row_words(corpus, row)
        item = work.item
        where = (
            f"{item.reference.name}{f':{item.line}' if item.line > 1 else ''} from character {work.character(start)} on"
        )
        how = f"{main.words} words in a row" if len(main.runs) == 1 else f"{main.words} words in {len(main.runs)} runs"
        longest = "" if len(main.runs) == 1 else f" (the longest of {main.longest})"
        return corpus.finding(
            self,
            row,
            f"{how}{longest} are those of {where}; {share:.0%} of the row's words",
            spans=run_spans(corpus, row, [(n, run) for n, one in passages for run in one.runs], kind="protected-text"),
            similarity=round(share, 4),
            severity="error" if share >= MOSTLY_COPIED_SHARE else "warning",
        )

    def _alike(self, corpus: AuditTable, works: list[ReferenceText]) -> Iterator[Finding]:
        """For every author, or source where none is named, the work whose style its rows come nearest to."""
        texts = pa.array([work.item.text for work in works], type=pa.large_string())
        theirs = function_word_counts(texts, numpy.arange(len(works)), len(works))
        large = [n for n, size in enumerate(theirs[1]) if size >= self.style_words]
        if len(large) < MIN_STYLE_WORKS:
            return
        names, files, counts, sizes = self._groups(corpus)
        own = [n for n, size in enumerate(sizes) if size >= self.style_words]
        if not own:
            return
        distances = burrows_delta(
            numpy.vstack([theirs[0][large], counts[own]]), numpy.concatenate([theirs[1][large], sizes[own]])
        )
        for place, group in enumerate(own, len(large)):
            ranked = sorted(zip(distances[place, : len(large)].tolist(), large, strict=True))
            (near, work), (second, _) = ranked[:2]
            reason = (
                f"the style of {names[group]!r} ({sizes[group]:.0f} words) is nearest to {works[work].item.reference.name}: "
                f"Burrows's Delta {near:.2f}, to the next {second:.2f}; a distance, no verdict"
            )
            place_of = Place(row_id="", file=files[group], line=0)
            yield Finding(rule=self.id, severity="info", action=self.default_action, place=place_of, reason=reason)

    def _groups(self, corpus: AuditTable) -> tuple[list[str], list[str], Frequencies, Frequencies]:
        """Name and first file of each author or source, its function words and all its words, in what it answers."""
        table = corpus.split("train")
        name = compute.coalesce(table.column("author"), table.column("source"), table.column("file"))
        codes = name.combine_chunks().dictionary_encode()
        texts = compute.coalesce(table.column("completion"), table.column("prompt"))
        numbers = numpy.asarray(codes.indices, dtype=numpy.int64)
        first = numpy.unique(numbers, return_index=True)[1]
        files = table.column("file").take(pa.array(first)).to_pylist()
        names = codes.dictionary.to_pylist()
        made, sizes = numpy.zeros((len(names), 0)), numpy.zeros(len(names))
        for start in range(0, len(numbers), BATCH_ROWS):
            batch = texts.slice(start, BATCH_ROWS).combine_chunks()
            counts, more = function_word_counts(batch, numbers[start : start + BATCH_ROWS], len(names))
            made, sizes = counts if start == 0 else made + counts, sizes + more
        return names, files, made, sizes


def _covered_words(passages: list[tuple[int, Passage]]) -> int:
    """Words of a row in its passages, each once."""
    total, ends = 0, dict.fromkeys((message for message, _ in passages), 0)
    for message, run in sorted(((m, run) for m, one in passages for run in one.runs), key=lambda one: one[1].place):
        total += max(0, run.place + run.words - max(ends[message], run.place))
        ends[message] = max(ends[message], run.place + run.words)
    return total


def _row_words(corpus: AuditTable, row: int) -> int:
    first, after = (int(corpus.signals.first_parts[at]) for at in (row, row + 1))
    return len(hash_words(corpus.signals.parts.column("text").slice(first, after - first).combine_chunks()).numbers)
