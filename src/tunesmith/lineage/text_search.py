"""Search the text index of a data set for rows that share a run of words with a query, in milliseconds.

Candidates from the index are read from the store and compared word by word. A system message is found at the first row that has
it.
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
"""Rows of one n-gram that are considered; an n-gram of more rows says little about which row the text came from."""

MAX_CANDIDATE_ROWS: Final = 100
"""Rows that are read and compared: those that share the most n-grams with the query."""

UINT64_RANGE: Final = 1 << 64


@dataclass(frozen=True)
class TextHit:
    """A row that shares a run of `words` words with the query; `spans` has the longest shared run of each message."""

    position: int
    row_id: str
    words: int
    spans: tuple[TextSpan, ...]


def search_text(container: str, text: str, store: ReadableStore) -> tuple[TextHit, ...]:
    """Rows of a data set that share a run of MIN_SHARED_WORDS words, or the whole text, with the text; longest run first.

    Raises Misuse when the text has no words or the data set has no index.
    """
    words = normal_words(text)
    if not words:
        raise Misuse("the text has no words", where="--text", hint=f"give at least {MIN_SHARED_WORDS} words in a row")
    path = index_folder(container, store) / ENTRIES_FILE
    if not path.is_file():
        raise Misuse(
            "the data set has no text index", where=container, hint="build it with `text_index.build_missing_indexes`"
        )
    entries = numpy.load(path, mmap_mode="r", allow_pickle=False)
    candidates = _candidate_rows(entries, words)
    examples = examples_at(container, candidates, store)
    hits = [_compare_row(position, *examples[position], words=words) for position in candidates]
    long_enough = [hit for hit in hits if hit.words >= min(MIN_SHARED_WORDS, len(words))]
    return tuple(sorted(long_enough, key=lambda hit: (-hit.words, hit.position)))


def _candidate_rows(entries: IndexEntries, words: Sequence[str]) -> list[int]:
    """Positions of the MAX_CANDIDATE_ROWS rows that share the most n-grams with the words; among equals the lowest first."""
    query = number_words(words)
    ngrams = ngram_hashes(query, NGRAM_WORDS)
    hashes = hash_ngrams(ngrams.numbers)  # (n-grams,)
    # A shared run of MIN_SHARED_WORDS words has a whole window, and index and query keep the same lowest n-gram of it.
    hashes = numpy.unique(hashes[lowest_in_window(hashes, ngrams)])
    if len(words) < MIN_SHARED_WORDS:
        hashes = numpy.append(hashes, hash_ngrams(ngram_hashes(query, len(words)).numbers, len(words)))
    # Entries are sorted by hash, then row: the rows of a hash are those between (hash, 0) and (hash, 2^32 - 1).
    starts = numpy.searchsorted(entries, hashes << numpy.uint64(32), "left")
    ends = numpy.searchsorted(entries, (hashes << numpy.uint64(32)) | numpy.uint64(0xFFFFFFFF), "right")
    matches = [
        numpy.asarray(entries[start : min(end, start + MAX_ROWS_PER_NGRAM)])
        for start, end in zip(starts, ends, strict=True)
    ]
    rows, counts = numpy.unique(numpy.concatenate(matches) & numpy.uint64(0xFFFFFFFF), return_counts=True)
    order = numpy.lexsort((rows, -counts))[:MAX_CANDIDATE_ROWS]
    return [int(row) for row in rows[order]]


def number_words(words: Sequence[str]) -> HashedWords:
    """Words in normal form with the hashes that `ngrams.hash_words` gives the words of a column of texts.

    It is computed here without pyarrow, which imports pandas to build a column from a list: that takes longer than the search.
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
    min_words = min(MIN_SHARED_WORDS, len(words))
    long_enough = tuple(span for span in spans if span.words >= min_words)
    return TextHit(position, row_id, max((span.words for span in long_enough), default=0), long_enough)


def longest_shared_run(text: str, words: Sequence[str], *, message: int = 0) -> TextSpan | None:
    """The longest run of words that a text shares with `words`, as a span of characters of the text; among equals the first."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    query = numpy.array([numbers[word] for word in words])
    text_words, offsets = normal_words(text), word_offsets(text)
    best, last = 0, -1
    # Longest common substring by dynamic programming: runs[i + 1] is the length of the run that ends at query word i.
    runs = numpy.zeros(len(query) + 1, dtype=numpy.int64)
    for place, word in enumerate(text_words):
        equal = query == numbers.get(word, -1)
        runs[1:] = numpy.where(equal, runs[:-1] + 1, 0)
        if (longest := int(runs.max())) > best:
            best, last = longest, place
    if best == 0:
        return None
    return TextSpan(message=message, start=offsets[last - best + 1][0], end=offsets[last][1], words=best)
