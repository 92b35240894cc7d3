"""Likeness of normal texts: candidates meet under MinHash band keys and are verified by exact Jaccard similarity."""

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
"""Words of a shingle; a text of fewer words than SHORT is like another only when both are equal."""
MIN_SHARED_PART_WORDS: Final = 20
"""Words of a part from which on it is set aside when two prompts share it."""
MAX_LEADERS: Final = 64
"""Texts of one bucket that a newcomer is compared with at most; more unlike texts under one key do not occur in practice."""

MAX_CACHED_PAIRS: Final = 20_000_000
"""Pairs whose answer is remembered at once, 8 bytes each."""
MAX_CACHED_TEXTS: Final = 20_000
"""Texts whose word triples are remembered at once."""

_BLANK_LINE: Final = re.compile(r"\n\s*\n")

Int64Array = npt.NDArray[numpy.int64]
BoolArray = npt.NDArray[numpy.bool_]


class IndexedTexts(Protocol):
    """Texts by number."""

    def __getitem__(self, number: int, /) -> str: ...


@dataclass(frozen=True)
class ColumnTexts:
    """A column as texts, made into Python strings one at a time."""

    column: pa.ChunkedArray

    def __getitem__(self, number: int, /) -> str:
        text: str = self.column[number].as_py()
        return text


@dataclass(frozen=True)
class PairSimilarity:
    """Similarity of rows of a corpus at or above a threshold; that of pairs which reach it is remembered.

    `beside` are further texts of each row, in normal form, that must be alike too. With `prompts`, the texts as they were
    written, what two rows say beside a document that both have must be alike as well: see `besides`.
    """

    normals: IndexedTexts | Sequence[str]
    beside: tuple[IndexedTexts | Sequence[str], ...]
    threshold: float
    prompts: IndexedTexts | Sequence[str] | None = None
    _shingles: dict[str, frozenset[tuple[str, ...]]] = field(default_factory=dict)
    _known: dict[tuple[int, int], float] = field(default_factory=dict)
    _said: dict[int, "PromptParts"] = field(default_factory=dict)

    def between(self, row: int, other: int) -> float | None:
        """Jaccard similarity of the word 3-grams of two normal texts, 1.0 when equal; None when below the threshold."""
        pair = (min(row, other), max(row, other))
        if pair in self._known:
            return self._known[pair]
        similarity = self._similarity(self.normals[row], self.normals[other])
        if similarity is not None and (similarity == 1.0 or self._asks_the_same(row, other)):
            self._known[pair] = similarity
            return similarity
        return None

    def same_elsewhere(self, row: int, other: int) -> bool:
        """Whether what stands beside the two texts is alike too: another instruction or answer makes another example."""
        return all(self._similarity(texts[row], texts[other]) is not None for texts in self.beside)

    def _asks_the_same(self, row: int, other: int) -> bool:
        """Whether two rows are alike without the document that they share; an addition to it alone is no difference.

        Words are counted, not triples: a question is short, and one word of eight that is replaced takes half of its triples.
        """
        if self.prompts is None or not any("\n" in self.prompts[number] for number in (row, other)):
            return True
        one, two = (set(text.split()) for text in without_shared_parts(self._parts(row), self._parts(other)))
        return not one or not two or len(one & two) >= (1 + self.threshold) / 2 * len(one | two)

    def _parts(self, row: int) -> "PromptParts":
        if row not in self._said:
            if len(self._said) >= MAX_CACHED_TEXTS:
                self._said.clear()
            self._said[row] = split_prompt(self.prompts[row] if self.prompts is not None else "")
        return self._said[row]

    def _similarity(self, one: str, two: str) -> float | None:
        if one == two:
            return 1.0
        first, second = self._grams(one), self._grams(two)
        if not first or not second:
            return None
        shared = len(first & second)
        similarity = shared / (len(first) + len(second) - shared)
        return similarity if similarity >= self.threshold else None

    def _grams(self, text: str) -> frozenset[tuple[str, ...]]:
        """Word 3-grams; none for a short text."""
        if text not in self._shingles:
            if len(self._shingles) >= MAX_CACHED_TEXTS:
                self._shingles.clear()
            words = text.split()
            runs = zip(*(words[first:] for first in range(SHINGLE_WORDS)), strict=False)
            self._shingles[text] = frozenset(runs if len(words) >= MIN_TRIPLE_TEXT_WORDS else ())
        return self._shingles[text]


@dataclass(frozen=True)
class PromptParts:
    """A prompt in normal form: its blocks, which blank lines part, each with its lines; and what may be set aside.

    That are the blocks, and the lines of LONG words or more.
    """

    blocks: tuple[tuple[str, tuple[str, ...]], ...]
    apart: frozenset[str]


def split_prompt(prompt: str) -> PromptParts:
    """The parts of a prompt as it was written."""
    blocks = tuple(map(_split_block, _BLANK_LINE.split(prompt)))
    long = (line for _, lines in blocks for line in lines if _word_count(line) >= MIN_SHARED_PART_WORDS)
    return PromptParts(blocks, frozenset((*(block for block, _ in blocks), *long)) - {""})


def _split_block(text: str) -> tuple[str, tuple[str, ...]]:
    whole = normalize(text)
    return whole, tuple(map(normalize, text.split("\n"))) if "\n" in text else (whole,)


def without_shared_parts(one: PromptParts, two: PromptParts) -> tuple[str, str]:
    """What each of two prompts says beside the long part that they share; empty when they share none.

    Long are parts that have LONG words or more together. So many questions to one document are told apart by the questions.
    """
    shared = one.apart & two.apart
    if sum(map(_word_count, shared)) < MIN_SHARED_PART_WORDS:
        return "", ""
    return _remove_parts(one, shared), _remove_parts(two, shared)


def _remove_parts(parts: PromptParts, shared: frozenset[str]) -> str:
    left = (lines for block, lines in parts.blocks if block not in shared)
    return " ".join(line for lines in left for line in lines if line and line not in shared)


def _word_count(text: str) -> int:
    return text.count(" ") + 1


def candidate_buckets(bands: tables.MinHashBands) -> Iterator[list[int]]:
    """Rows that share a band key, each bucket of at least two in ascending order, band by band."""
    for buckets, places in bands.sharing():
        starts = numpy.flatnonzero(_bucket_starts(buckets))
        yield from (bucket.tolist() for bucket in numpy.split(bands.rows[places], starts[1:]) if len(bucket))


def filter_pairs(
    columns: Sequence[WordTriples], rows: Int64Array, others: Int64Array, *, threshold: float
) -> BoolArray:
    """Which pairs of rows may be alike in every column: all that are, and few others."""
    near = numpy.ones(len(rows), dtype=numpy.bool_)
    for column in columns:
        near[near] = column.may_share(rows[near], others[near], threshold)
    return near


def find_near_duplicates(
    bands: tables.MinHashBands, alike: Callable[[Int64Array, Int64Array], BoolArray], *, threshold: float
) -> Iterator[tuple[int, int]]:
    """(row, lower row that it is like) of rows that share a band key.

    In each bucket the lowest row leads. A row goes with the first leader that it is like; the lowest of those that are like
    none leads next, LEADERS at most. `alike` is asked once of each pair whose signatures may reach the threshold.
    """
    answers = SimilarityCache(alike)
    for buckets, places in bands.sharing():
        left = numpy.arange(len(places))
        for _ in range(MAX_LEADERS):
            first = _bucket_starts(buckets[left])
            if first.all():
                break
            leaders = places[left[first]][numpy.cumsum(first) - 1]
            met, leader = left[~first], leaders[~first]
            near = bands.may_reach(places[met], leader, threshold, among=bands)
            rows, others = bands.rows[places[met[near]]], bands.rows[leader[near]]
            found = answers.of(rows, others)
            yield from zip(rows[found].tolist(), others[found].tolist(), strict=True)
            near[near] = found
            left = met[~near]
        answers.settle()


class SimilarityCache:
    """What was said of pairs of rows, which meet in more than one band. A pair and its answer are one number, kept sorted."""

    def __init__(self, alike: Callable[[Int64Array, Int64Array], BoolArray]) -> None:
        self._alike = alike
        self._known = numpy.empty(0, dtype=numpy.uint64)
        self._new: list[npt.NDArray[numpy.uint64]] = []

    def of(self, rows: Int64Array, others: Int64Array) -> BoolArray:
        """Whether each pair is alike; no pair comes twice before `settle`."""
        pairs = (rows.astype(numpy.uint64) << numpy.uint64(33)) | (others.astype(numpy.uint64) << numpy.uint64(1))
        known = self._known
        places = numpy.searchsorted(known, pairs)
        held = known[numpy.minimum(places, max(len(known) - 1, 0))] if len(known) else ~pairs
        met = (held | numpy.uint64(1)) == (pairs | numpy.uint64(1))
        found: BoolArray = met & (held == (pairs | numpy.uint64(1)))
        found[~met] = self._alike(rows[~met], others[~met])
        self._new.append((pairs | found)[~met])
        return found

    def settle(self) -> None:
        """Sort in what is new; of more than ASKED all is forgotten, and worked out again."""
        known = numpy.concatenate([self._known, *self._new])
        self._known = numpy.sort(known, kind="stable") if len(known) <= MAX_CACHED_PAIRS else known[:0]
        self._new = []


def candidates_across(
    bands: tables.MinHashBands, others: tables.MinHashBands, *, threshold: float
) -> Iterator[tuple[int, list[int]]]:
    """(row of `bands`, rows of `others` under one of its keys that may reach the threshold), band by band."""
    for rows, found in candidate_pairs_across(bands, others, threshold=threshold):
        for row, group in groupby(zip(rows.tolist(), found.tolist(), strict=True), key=itemgetter(0)):
            yield row, [other for _, other in group]


def candidate_pairs_across(
    bands: tables.MinHashBands, others: tables.MinHashBands, *, threshold: float
) -> Iterator[tuple[Int64Array, Int64Array]]:
    """Pairs (row of `bands`, row of `others`) under one key that may reach the threshold, band by band."""
    for places, met in bands.shared_with(others, most=MAX_LEADERS):
        near = bands.may_reach(places, met, threshold, among=others)
        yield bands.rows[places[near]], others.rows[met[near]]


def _bucket_starts(buckets: Int64Array) -> npt.NDArray[numpy.bool_]:
    """Which rows are the first of their bucket."""
    return numpy.append(True, buckets[1:] != buckets[:-1])[: len(buckets)]
