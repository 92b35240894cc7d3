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
from tunesmith.audit.check import CHECKS, SPLITS
from tunesmith.audit.corpus import Corpus
from tunesmith.audit.passages import Passage, passages_of
from tunesmith.audit.runs import shared_runs, spans_of
from tunesmith.data.kgrams import index_of
from tunesmith.data.ngrams import words_in
from tunesmith.data.normal import normal
from tunesmith.data.references import References, digest_of_references, works_of
from tunesmith.data.style import Frequencies, counts_by_text, delta
from tunesmith.data.worktext import WorkText

SEED: Final = 8
"""Words of the shortest run that is looked for."""
HALF: Final = 0.5
"""A row of which this share is a passage is little else."""
FEWEST: Final = 2
"""Works between which a style can be nearer to one than to another."""
BATCH: Final = 50_000


@CHECKS.register
@dataclass(frozen=True)
class ProtectedWork:
    """One finding a row, about the passage in which most words agree."""

    id: ClassVar[str] = "protected-work"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = SPLITS

    works: References = ()
    words: Annotated[int, Field(ge=SEED)] = 25
    gap: Annotated[int, Field(ge=0, le=SEED)] = 3
    style_words: Annotated[int, Field(ge=500)] = 500

    def examine(self, corpus: Corpus) -> list[Finding]:
        works = [WorkText(item) for file in self.works for item in works_of(file)]
        if not works:
            return []
        return [*self._repeated(corpus, works), *self._alike(corpus, works)]

    def _repeated(self, corpus: Corpus, works: list[WorkText]) -> Iterator[Finding]:
        """A finding for every row with a passage, each run compared word by word."""
        texts = pa.array([work.item.text for work in works], type=pa.large_string())
        index = index_of(texts, SEED, digest=digest_of_references(self.works))
        found: dict[int, list[tuple[int, Passage]]] = {}
        for row, message, text, runs in shared_runs(corpus, (index,)):
            mine = normal(text).split()
            true = [run for run in runs if mine[run.place : run.place + run.words] == works[run.text].words(*run[2:])]
            long = [one for one in passages_of(true, self.gap) if one.words >= self.words]
            if long:
                found.setdefault(row, []).extend((message, one) for one in long)
        for row, passages in sorted(found.items()):
            yield self._finding(corpus, row, passages, works)

    def _finding(self, corpus: Corpus, row: int, passages: list[tuple[int, Passage]], works: list[WorkText]) -> Finding:
        _, main = max(passages, key=lambda one: (one[1].words, -one[1].text))
        work, start = works[main.text], main.runs[0].at
        share = _covered(passages) / _words_of(corpus, row)
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
            spans=spans_of(corpus, row, [(n, run) for n, one in passages for run in one.runs], kind="protected-text"),
            similarity=round(share, 4),
            severity="error" if share >= HALF else "warning",
        )

    def _alike(self, corpus: Corpus, works: list[WorkText]) -> Iterator[Finding]:
        """For every author, or source where none is named, the work whose style its rows come nearest to."""
        texts = pa.array([work.item.text for work in works], type=pa.large_string())
        theirs = counts_by_text(texts, numpy.arange(len(works)), len(works))
        large = [n for n, size in enumerate(theirs[1]) if size >= self.style_words]
        if len(large) < FEWEST:
            return
        names, files, counts, sizes = self._groups(corpus)
        own = [n for n, size in enumerate(sizes) if size >= self.style_words]
        if not own:
            return
        distances = delta(
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

    def _groups(self, corpus: Corpus) -> tuple[list[str], list[str], Frequencies, Frequencies]:
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
        for start in range(0, len(numbers), BATCH):
            batch = texts.slice(start, BATCH).combine_chunks()
            counts, more = counts_by_text(batch, numbers[start : start + BATCH], len(names))
            made, sizes = counts if start == 0 else made + counts, sizes + more
        return names, files, made, sizes


def _covered(passages: list[tuple[int, Passage]]) -> int:
    """Words of a row in its passages, each once."""
    total, ends = 0, dict.fromkeys((message for message, _ in passages), 0)
    for message, run in sorted(((m, run) for m, one in passages for run in one.runs), key=lambda one: one[1].place):
        total += max(0, run.place + run.words - max(ends[message], run.place))
        ends[message] = max(ends[message], run.place + run.words)
    return total


def _words_of(corpus: Corpus, row: int) -> int:
    first, after = (int(corpus.signals.first_parts[at]) for at in (row, row + 1))
    return len(words_in(corpus.signals.parts.column("text").slice(first, after - first).combine_chunks()).numbers)
