"""Likeness of normal texts: candidates meet under MinHash band keys and are verified by exact Jaccard similarity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import pyarrow as pa
from pyarrow import compute

from tunesmith import tables

SHINGLE: Final = 3
SHORT: Final = 5
"""Words of a shingle; a text of fewer words than SHORT is like another only when both are equal."""
LEADERS: Final = 64
"""Texts of one bucket that a newcomer is compared with at most; more unlike texts under one key do not occur in practice."""

HELD: Final = 20_000
"""Texts whose word triples are remembered at once."""

Key = tuple[int, int]
KEY: Final = ("band", "key")


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
    """Similarity of rows of a corpus at or above a threshold, remembered pair by pair."""

    normals: Texts | Sequence[str]
    systems: Texts | Sequence[str]
    threshold: float
    _shingles: dict[str, frozenset[str]] = field(default_factory=dict)
    _known: dict[tuple[int, int], float | None] = field(default_factory=dict)

    def between(self, row: int, other: int) -> float | None:
        """Jaccard similarity of the word 3-grams of two normal texts, 1.0 when equal; None when below the threshold."""
        pair = (min(row, other), max(row, other))
        if pair not in self._known:
            self._known[pair] = self._similarity(self.normals[row], self.normals[other])
        return self._known[pair]

    def same_task(self, row: int, other: int) -> bool:
        """Whether the system turns are alike too: another instruction makes another example."""
        one, two = self.systems[row], self.systems[other]
        return one == two or self._similarity(one, two) is not None

    def _similarity(self, one: str, two: str) -> float | None:
        if one == two:
            return 1.0
        first, second = self._grams(one), self._grams(two)
        if not first or not second:
            return None
        shared = len(first & second)
        similarity = shared / (len(first) + len(second) - shared)
        return similarity if similarity >= self.threshold else None

    def _grams(self, text: str) -> frozenset[str]:
        """Word 3-grams; none for a short text."""
        if text not in self._shingles:
            if len(self._shingles) >= HELD:
                self._shingles.clear()
            words = text.split()
            count = len(words) - SHINGLE + 1 if len(words) >= SHORT else 0
            self._shingles[text] = frozenset(" ".join(words[at : at + SHINGLE]) for at in range(count))
        return self._shingles[text]


def meeting(bands: tables.Bands) -> Iterator[list[int]]:
    """Rows that share a band key, each bucket of at least two in ascending order; a few bands are held at a time."""
    for some in bands.passes():
        counted = tables.group_min_count(bands.table(some), keys=KEY, row="row")
        shared = counted.filter(compute.greater(counted.column("count"), 1))
        buckets: dict[Key, list[int]] = {}
        for key, row in _keyed(shared):
            buckets.setdefault(key, []).append(row)
        yield from buckets.values()


def meeting_across(bands: tables.Bands, others: tables.Bands) -> Iterator[tuple[int, list[int]]]:
    """(row of `bands`, rows of `others` under one of its keys), for every key both have."""
    for some in bands.passes(tables.LINES // 2):
        mine, whole = bands.table(some), others.table(some)
        theirs: dict[Key, list[int]] = {}
        for key, row in _keyed(tables.semi_join(whole, mine, on=KEY, row="row")):
            theirs.setdefault(key, []).append(row)
        for key, row in _keyed(tables.semi_join(mine, whole, on=KEY, row="row")):
            yield row, theirs[key][:LEADERS]


def _keyed(bands: pa.Table) -> Iterator[tuple[Key, int]]:
    columns = [bands.column(name).to_pylist() for name in (*KEY, "row")]
    for band, key, row in zip(*columns, strict=True):
        yield (band, key), row
