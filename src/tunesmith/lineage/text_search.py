"""Which rows hold a run of words: the index of a data set's word runs, asked in milliseconds.

What is met is read from the store and compared word by word. A system message is met at the first row that has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy

from tunesmith.artifacts import Example
from tunesmith.artifacts.lineage import TextSpan
from tunesmith.errors import Misuse
from tunesmith.lineage.stored_examples import examples_at
from tunesmith.lineage.text_ngrams import (
    ENTRIES_FILE,
    MIN_SHARED_WORDS,
    NGRAM_WORDS,
    IndexEntries,
    hash_ngrams,
    index_folder,
    lowest_in_window,
    normal_words,
)
from tunesmith.store.read_only import ReadableStore
from tunesmith.text.ngrams import HASH_BASE, NORMAL_WORDS, HashedWords, ngram_hashes
from tunesmith.text.word_offsets import word_offsets

MAX_ROWS_PER_NGRAM: Final = 20_000
"""Rows of one run of words that are looked at; a run that more rows share says little about which row it was."""

MAX_CANDIDATE_ROWS: Final = 100
"""Rows that are read and compared: those that share the most runs with the question."""

UINT64_RANGE: Final = 1 << 64


@dataclass(frozen=True)
class TextHit:
    """A row that shares a run of `words` words with the question, by position; the longest run of each message."""

    position: int
    row_id: str
    words: int
    spans: tuple[TextSpan, ...]


def search_text(container: str, text: str, store: ReadableStore) -> tuple[TextHit, ...]:
    """Rows of a data set that share at least LEAST words in a row with the text, or all its words; longest first.

    Raises Misuse when the text has no word, or the data set has no index.
    """
    words = normal_words(text)
    if not words:
        raise Misuse("the text has no words", where="--text", hint=f"give at least {MIN_SHARED_WORDS} words in a row")
    path = index_folder(container, store) / ENTRIES_FILE
    if not path.is_file():
        raise Misuse("the data set has no text index", where=container, hint="`text_index.build_missing` makes it")
    entries = numpy.load(path, mmap_mode="r", allow_pickle=False)
    met = _candidate_rows(entries, words)
    found = examples_at(container, met, store)
    hits = [_compare_row(position, *found[position], words=words) for position in met]
    close = [hit for hit in hits if hit.words >= min(MIN_SHARED_WORDS, len(words))]
    return tuple(sorted(close, key=lambda hit: (-hit.words, hit.position)))


def _candidate_rows(entries: IndexEntries, words: Sequence[str]) -> list[int]:
    """Positions of the rows that share the most runs with the words, at most CANDIDATES, lowest position first among equals."""
    asked = number_words(words)
    grams = ngram_hashes(asked, NGRAM_WORDS)
    hashes = hash_ngrams(grams.numbers)
    # A run that is shared has whole windows, and both sides keep the lowest of each: what the question drops says nothing.
    hashes = numpy.unique(hashes[lowest_in_window(hashes, grams)])
    if len(words) < MIN_SHARED_WORDS:
        hashes = numpy.append(hashes, hash_ngrams(ngram_hashes(asked, len(words)).numbers, len(words)))
    starts = numpy.searchsorted(entries, hashes << numpy.uint64(32), "left")
    ends = numpy.searchsorted(entries, (hashes << numpy.uint64(32)) | numpy.uint64(0xFFFFFFFF), "right")
    met = [
        numpy.asarray(entries[start : min(end, start + MAX_ROWS_PER_NGRAM)])
        for start, end in zip(starts, ends, strict=True)
    ]
    rows, counts = numpy.unique(numpy.concatenate(met) & numpy.uint64(0xFFFFFFFF), return_counts=True)
    order = numpy.lexsort((rows, -counts))[:MAX_CANDIDATE_ROWS]
    return [int(row) for row in rows[order]]


def number_words(words: Sequence[str]) -> HashedWords:
    """Words in normal form, numbered as `ngrams.words_in` numbers those of a column of texts.

    Without a column: to make one from a list, pyarrow imports pandas, which takes longer than the search.
    """
    numbers = [
        sum(
            int(NORMAL_WORDS.values[byte]) * pow(int(HASH_BASE), at, UINT64_RANGE)
            for at, byte in enumerate(word.encode())
        )
        % UINT64_RANGE
        for word in words
    ]
    return HashedWords(numpy.array(numbers, dtype=numpy.uint64), numpy.array([0, len(words)]))


def _compare_row(position: int, row_id: str, example: Example, *, words: Sequence[str]) -> TextHit:
    texts = [turn.text_with_calls for turn in example.messages] or [example.text or ""]
    spans = [span for number, text in enumerate(texts) if (span := longest_shared_run(text, words, message=number))]
    least = min(MIN_SHARED_WORDS, len(words))
    kept = tuple(span for span in spans if span.words >= least)
    return TextHit(position, row_id, max((span.words for span in kept), default=0), kept)


def longest_shared_run(text: str, words: Sequence[str], *, message: int = 0) -> TextSpan | None:
    """The longest run of words that a text shares with others, as characters of the text; the first of equal ones."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    asked = numpy.array([numbers[word] for word in words])
    spoken, places = normal_words(text), word_offsets(text)
    best, last = 0, -1
    run = numpy.zeros(len(asked) + 1, dtype=numpy.int64)
    for place, word in enumerate(spoken):
        equal = asked == numbers.get(word, -1)
        run[1:] = numpy.where(equal, run[:-1] + 1, 0)
        if (longest := int(run.max())) > best:
            best, last = longest, place
    if best == 0:
        return None
    return TextSpan(message=message, start=places[last - best + 1][0], end=places[last][1], words=best)
