"""Near-duplicate texts: candidate pairs share a MinHash band key and are verified by exact Jaccard similarity."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Final, Protocol

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith import tables
from tunesmith.tables import MIN_TRIPLE_TEXT_WORDS, WordTriples
from tunesmith.text.normalize import normalize

SHINGLE_WORDS: Final = 3
"""Words per shingle. A text of fewer than MIN_TRIPLE_TEXT_WORDS words is similar only to an equal text."""
MIN_SHARED_PART_WORDS: Final = 20
"""Words that a part of a prompt must have to be set aside when two prompts share it."""
MAX_LEADERS: Final = 64
"""Texts of one bucket that a row is compared with at most; a key shared by more dissimilar texts does not occur in practice."""

MAX_CACHED_PAIRS: Final = 20_000_000
"""Pairs whose result is cached, 8 bytes each."""
MAX_CACHED_TEXTS: Final = 20_000
"""Texts whose word triples are cached."""

_BLANK_LINE: Final = re.compile(r"\n\s*\n")

Int64Array = npt.NDArray[numpy.int64]
BoolArray = npt.NDArray[numpy.bool_]


class IndexedTexts(Protocol):
    """Texts by index."""

    def __getitem__(self, number: int, /) -> str: ...


@dataclass(frozen=True)
class ColumnTexts:
    """A column whose values become Python strings one at a time."""

    column: pa.ChunkedArray

    def __getitem__(self, number: int, /) -> str:
        text: str = self.column[number].as_py()
        return text


@dataclass(frozen=True)
class PairSimilarity:
    """Jaccard similarity of pairs of rows; similarities at or above `threshold` are cached.

    `others` are further normalised texts of each row, which `other_texts_match` compares. With `prompts`, the raw texts, two
    rows must also be similar outside a document that both contain: see `without_shared_parts`.
    """

    normals: IndexedTexts | Sequence[str]
    others: tuple[IndexedTexts | Sequence[str], ...]
    threshold: float
    prompts: IndexedTexts | Sequence[str] | None = None
    _shingles: dict[str, frozenset[tuple[str, ...]]] = field(default_factory=dict)
    _similarities: dict[tuple[int, int], float] = field(default_factory=dict)
    _prompt_parts: dict[int, "PromptParts"] = field(default_factory=dict)

    def similarity(self, row: int, other: int) -> float | None:
        """Jaccard similarity of the word triples of two normalised texts, 1.0 when equal; None when below the threshold."""
        pair = (min(row, other), max(row, other))
        if pair in self._similarities:
            return self._similarities[pair]
        similarity = self._jaccard(self.normals[row], self.normals[other])
        if similarity is not None and (similarity == 1.0 or self._questions_match(row, other)):
            self._similarities[pair] = similarity
            return similarity
        return None

    def other_texts_match(self, row: int, other: int) -> bool:
        """Whether all further texts are similar too: another instruction or answer makes another example."""
        return all(self._jaccard(texts[row], texts[other]) is not None for texts in self.others)

    def _questions_match(self, row: int, other: int) -> bool:
        """Whether two rows are similar outside a document that they share; an addition on one side only is no difference.

        Words are compared, not triples: a question is short, and replacing one word of eight changes half of its triples.
        """
        if self.prompts is None or not any("\n" in self.prompts[number] for number in (row, other)):
            return True
        texts = without_shared_parts(self._parts(row), self._parts(other))
        words, other_words = (set(text.split()) for text in texts)
        if not words or not other_words:
            return True
        return len(words & other_words) >= (1 + self.threshold) / 2 * len(words | other_words)

    def _parts(self, row: int) -> "PromptParts":
        if row not in self._prompt_parts:
            if len(self._prompt_parts) >= MAX_CACHED_TEXTS:
                self._prompt_parts.clear()
            self._prompt_parts[row] = split_prompt(self.prompts[row] if self.prompts is not None else "")
        return self._prompt_parts[row]

    def _jaccard(self, text: str, other: str) -> float | None:
        if text == other:
            return 1.0
        first, second = self._triples(text), self._triples(other)
        if not first or not second:
            return None
        shared = len(first & second)
        similarity = shared / (len(first) + len(second) - shared)
        return similarity if similarity >= self.threshold else None

    def _triples(self, text: str) -> frozenset[tuple[str, ...]]:
        """Word triples; none for a short text."""
        if text not in self._shingles:
            if len(self._shingles) >= MAX_CACHED_TEXTS:
                self._shingles.clear()
            words = text.split()
            runs = zip(*(words[first:] for first in range(SHINGLE_WORDS)), strict=False)
            self._shingles[text] = frozenset(runs if len(words) >= MIN_TRIPLE_TEXT_WORDS else ())
        return self._shingles[text]


@dataclass(frozen=True)
class PromptParts:
    """A prompt in normal form: `blocks`, separated by blank lines, each with its lines.

    `apart` are the parts that may be set aside: all blocks, and lines of MIN_SHARED_PART_WORDS words or more.
    """

    blocks: tuple[tuple[str, tuple[str, ...]], ...]
    apart: frozenset[str]


def split_prompt(prompt: str) -> PromptParts:
    """The parts of a raw prompt."""
    blocks = tuple(map(_split_block, _BLANK_LINE.split(prompt)))
    long = (line for _, lines in blocks for line in lines if _word_count(line) >= MIN_SHARED_PART_WORDS)
    return PromptParts(blocks, frozenset((*(block for block, _ in blocks), *long)) - {""})


def _split_block(text: str) -> tuple[str, tuple[str, ...]]:
    whole = normalize(text)
    return whole, tuple(map(normalize, text.split("\n"))) if "\n" in text else (whole,)


def without_shared_parts(prompt: PromptParts, other: PromptParts) -> tuple[str, str]:
    """What each of two prompts says outside the parts that they share; two empty texts when they share too little.

    The shared parts must have MIN_SHARED_PART_WORDS words in total. So questions about one document are compared by the
    questions alone.
    """
    shared = prompt.apart & other.apart
    if sum(map(_word_count, shared)) < MIN_SHARED_PART_WORDS:
        return "", ""
    return _remove_parts(prompt, shared), _remove_parts(other, shared)


def _remove_parts(parts: PromptParts, shared: frozenset[str]) -> str:
    blocks = (lines for block, lines in parts.blocks if block not in shared)
    return " ".join(line for lines in blocks for line in lines if line and line not in shared)


def _word_count(text: str) -> int:
    return text.count(" ") + 1


def candidate_buckets(bands: tables.MinHashBands) -> Iterator[list[int]]:
    """Rows that share a band key, band by band; each bucket has at least two rows, in ascending order."""
    for buckets, places in bands.shared_keys():
        starts = numpy.flatnonzero(_bucket_starts(buckets))
        yield from (bucket.tolist() for bucket in numpy.split(bands.rows[places], starts[1:]) if len(bucket))


def filter_pairs(
    columns: Sequence[WordTriples], rows: Int64Array, others: Int64Array, *, threshold: float
) -> BoolArray:
    """Which pairs of rows may be similar in every column: all that are, and few others."""
    near = numpy.ones(len(rows), dtype=numpy.bool_)
    for column in columns:
        near[near] = column.may_share(rows[near], others[near], threshold)
    return near


def find_near_duplicates(
    bands: tables.MinHashBands, are_similar: Callable[[Int64Array, Int64Array], BoolArray], *, threshold: float
) -> Iterator[tuple[int, int]]:
    """(row, lower row that it is similar to) for rows that share a band key, by leader clustering within each bucket.

    The lowest row of a bucket leads. Rows similar to the leader are done; the lowest of the others leads next, MAX_LEADERS
    times at most. `are_similar` is called once for each pair whose signatures may reach the threshold.
    """
    cache = SimilarityCache(are_similar)
    for buckets, places in bands.shared_keys():
        remaining = numpy.arange(len(places))
        for _ in range(MAX_LEADERS):
            first = _bucket_starts(buckets[remaining])
            if first.all():
                break
            leaders = places[remaining[first]][numpy.cumsum(first) - 1]
            followers, leader = remaining[~first], leaders[~first]
            near = bands.may_reach(places[followers], leader, threshold, among=bands)
            rows, others = bands.rows[places[followers[near]]], bands.rows[leader[near]]
            similar = cache.similar(rows, others)
            yield from zip(rows[similar].tolist(), others[similar].tolist(), strict=True)
            near[near] = similar
            remaining = followers[~near]
        cache.merge()


class SimilarityCache:
    """Results for pairs of rows, which meet in more than one band. A pair and its result are one number, kept sorted."""

    def __init__(self, are_similar: Callable[[Int64Array, Int64Array], BoolArray]) -> None:
        self._are_similar = are_similar
        self._sorted = numpy.empty(0, dtype=numpy.uint64)
        self._new: list[npt.NDArray[numpy.uint64]] = []

    def similar(self, rows: Int64Array, others: Int64Array) -> BoolArray:
        """Whether each pair is similar; no pair may come twice before `merge`."""
        # 31 bits for the row, 32 for the other row, the lowest for the result
        pairs = (rows.astype(numpy.uint64) << numpy.uint64(33)) | (others.astype(numpy.uint64) << numpy.uint64(1))
        stored = self._sorted
        places = numpy.searchsorted(stored, pairs)
        nearest = stored[numpy.minimum(places, max(len(stored) - 1, 0))] if len(stored) else ~pairs
        cached = (nearest | numpy.uint64(1)) == (pairs | numpy.uint64(1))
        similar: BoolArray = cached & (nearest == (pairs | numpy.uint64(1)))
        similar[~cached] = self._are_similar(rows[~cached], others[~cached])
        self._new.append((pairs | similar)[~cached])
        return similar

    def merge(self) -> None:
        """Merge the new results; beyond MAX_CACHED_PAIRS the cache is emptied and pairs are compared again."""
        stored = numpy.concatenate([self._sorted, *self._new])
        self._sorted = numpy.sort(stored, kind="stable") if len(stored) <= MAX_CACHED_PAIRS else stored[:0]
        self._new = []


def candidates_across(
    bands: tables.MinHashBands, others: tables.MinHashBands, *, threshold: float
) -> Iterator[tuple[int, list[int]]]:
    """(row of `bands`, rows of `others` under one of its keys that may reach the threshold), band by band."""
    for rows, partners in candidate_pairs_across(bands, others, threshold=threshold):
        for row, group in groupby(zip(rows.tolist(), partners.tolist(), strict=True), key=itemgetter(0)):
            yield row, [other for _, other in group]


def candidate_pairs_across(
    bands: tables.MinHashBands, others: tables.MinHashBands, *, threshold: float
) -> Iterator[tuple[Int64Array, Int64Array]]:
    """Pairs (row of `bands`, row of `others`) under one key that may reach the threshold, band by band."""
    for places, other_places in bands.shared_with(others, limit=MAX_LEADERS):
        near = bands.may_reach(places, other_places, threshold, among=others)
        yield bands.rows[places[near]], others.rows[other_places[near]]


def _bucket_starts(buckets: Int64Array) -> npt.NDArray[numpy.bool_]:
    """Which rows are the first of their bucket."""
    return numpy.append(True, buckets[1:] != buckets[:-1])[: len(buckets)]
