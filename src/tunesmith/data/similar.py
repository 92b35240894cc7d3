"""Likeness of normal texts: candidates meet under MinHash band keys and are verified by exact Jaccard similarity."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Final, Protocol

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith import tables

SHINGLE: Final = 3
SHORT: Final = 5
"""Words of a shingle; a text of fewer words than SHORT is like another only when both are equal."""
LEADERS: Final = 64
"""Texts of one bucket that a newcomer is compared with at most; more unlike texts under one key do not occur in practice."""

APART: Final = 300_000
"""Pairs that are remembered not to be alike at once."""
HELD: Final = 20_000
"""Texts whose word triples are remembered at once."""

Numbers = npt.NDArray[numpy.int64]


class Texts(Protocol):
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
class Likeness:
    """Similarity of rows of a corpus at or above a threshold; that of pairs which reach it is remembered.

    `beside` are further texts of each row, in normal form, that must be alike too.
    """

    normals: Texts | Sequence[str]
    beside: tuple[Texts | Sequence[str], ...]
    threshold: float
    _shingles: dict[str, frozenset[tuple[str, ...]]] = field(default_factory=dict)
    _known: dict[tuple[int, int], float] = field(default_factory=dict)

    def between(self, row: int, other: int) -> float | None:
        """Jaccard similarity of the word 3-grams of two normal texts, 1.0 when equal; None when below the threshold."""
        pair = (min(row, other), max(row, other))
        if pair in self._known:
            return self._known[pair]
        similarity = self._similarity(self.normals[row], self.normals[other])
        if similarity is not None:
            self._known[pair] = similarity
        return similarity

    def same_elsewhere(self, row: int, other: int) -> bool:
        """Whether what stands beside the two texts is alike too: another instruction or answer makes another example."""
        return all(self._similarity(texts[row], texts[other]) is not None for texts in self.beside)

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
            if len(self._shingles) >= HELD:
                self._shingles.clear()
            words = text.split()
            runs = zip(*(words[first:] for first in range(SHINGLE)), strict=False)
            self._shingles[text] = frozenset(runs if len(words) >= SHORT else ())
        return self._shingles[text]


def meeting(bands: tables.Bands) -> Iterator[list[int]]:
    """Rows that share a band key, each bucket of at least two in ascending order, band by band."""
    for buckets, rows in bands.sharing():
        starts = numpy.flatnonzero(_firsts(buckets))
        yield from (bucket.tolist() for bucket in numpy.split(rows, starts[1:]) if len(bucket))


def led(bands: tables.Bands, alike: Callable[[int, int], bool], *, threshold: float) -> Iterator[tuple[int, int]]:
    """(row, lower row that it is like) of rows that share a band key.

    In each bucket the lowest row leads. A row goes with the first leader that it is like; the lowest of those that are like
    none leads next, LEADERS at most. `alike` is asked of the pairs whose signatures may reach the threshold.
    """
    asked = _remembering(alike)
    for buckets, rows in bands.sharing():
        left = numpy.arange(len(rows))
        for _ in range(LEADERS):
            first = _firsts(buckets[left])
            leaders = rows[left[first]][numpy.cumsum(first) - 1]
            met, leader = left[~first], leaders[~first]
            near = bands.may_reach(rows[met], leader, threshold, among=bands)
            pairs = zip(rows[met[near]].tolist(), leader[near].tolist(), strict=True)
            found = [pair if asked(*pair) else None for pair in pairs]
            yield from (pair for pair in found if pair is not None)
            near[near] = [pair is not None for pair in found]
            left = met[~near]


def _remembering(alike: Callable[[int, int], bool]) -> Callable[[int, int], bool]:
    """`alike`, asked once of a pair that is not: rows that meet in one band meet in others too."""
    apart: set[tuple[int, int]] = set()

    def asked(row: int, other: int) -> bool:
        if (row, other) in apart:
            return False
        if alike(row, other):
            return True
        if len(apart) >= APART:
            apart.clear()
        apart.add((row, other))
        return False

    return asked


def meeting_across(bands: tables.Bands, others: tables.Bands, *, threshold: float) -> Iterator[tuple[int, list[int]]]:
    """(row of `bands`, rows of `others` under one of its keys that may reach the threshold), band by band."""
    for rows, found in bands.shared_with(others, most=LEADERS):
        near = bands.may_reach(rows, found, threshold, among=others)
        for row, group in groupby(zip(rows[near].tolist(), found[near].tolist(), strict=True), key=itemgetter(0)):
            yield row, [other for _, other in group]


def _firsts(buckets: Numbers) -> npt.NDArray[numpy.bool_]:
    """Which rows are the first of their bucket."""
    return numpy.append(True, buckets[1:] != buckets[:-1])[: len(buckets)]
