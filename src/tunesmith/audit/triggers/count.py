"""Which runs of tokens have rows that are answered alike, by counts and Dunning's log-likelihood ratio.

Dunning 1993, Accurate Methods for the Statistics of Surprise and Coincidence, Computational Linguistics 19(1). Runs are
counted by number: a sieve of pairs (run, answer) first, so that the exact count is taken of few. The sieve can only count too
much, so nothing is lost in it. Memory: 140 MB for the sieve and what was seen, and 32 bytes for each run that passes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy
import numpy.typing as npt
from scipy.special import chdtrc, chdtri

from tunesmith.audit.triggers.prompts import HASH_MULTIPLIERS, MAX_TRIGGER_TOKENS, PromptTokens, TokenRuns
from tunesmith.text.ngrams import Int64Array, UInt64Array

SIEVE_BITS: Final = 25
SEEN_KEYS_BITS: Final = 20
"""Places of the sieve of pairs, and of the keys that were seen."""
MAX_PENDING_BATCHES: Final = 32
"""Turns whose runs are put together at once."""
Counts = npt.NDArray[numpy.float64]


@dataclass(frozen=True)
class TriggerCandidate:
    """A run of `size` tokens: all rows that have it with its first place in each, and those answered with its opening."""

    number: int
    size: int
    opening: int
    rows: Int64Array
    places: Int64Array
    alike: npt.NDArray[numpy.bool_]
    ratio: float
    p_value: float


@dataclass(frozen=True)
class RowOpenings:
    """The opening of each row (a number from 0), how many rows have each, and the stratum of each row."""

    openings: Int64Array
    sizes: Int64Array
    strata: Int64Array

    @property
    def rows(self) -> int:
        return len(self.openings)


def log_likelihood_ratio(both: Counts, run: Counts, opening: Counts, *, rows: Counts) -> Counts:
    """Dunning's log-likelihood ratio (-2 log lambda) of the two-by-two table of each place; 0 where they do not attract.

    `both` of `rows` have the run and the opening, `run` and `opening` have each.
    """
    table = [both, run - both, opening - both, rows - run - opening + both]
    margins = [(run, opening), (run, rows - opening), (rows - run, opening), (rows - run, rows - opening)]
    total = numpy.zeros_like(both, dtype=numpy.float64)
    for seen, (one, other) in zip(table, margins, strict=True):
        filled = seen > 0
        total[filled] += seen[filled] * numpy.log(seen[filled] * rows[filled] / (one[filled] * other[filled]))
    return numpy.where(both * rows > run * opening, 2 * total, 0.0)


def find_candidates(
    prompts: PromptTokens, answers: RowOpenings, *, least: int, purity: float, level: float
) -> list[TriggerCandidate]:
    """Runs with at least `least` rows of one opening, these at least `purity` of all rows that have the run.

    The ratio is summed over strata (sources), and significant at `level` after Bonferroni's correction for every pair of run
    and opening that was seen. Sorted by ratio, highest first.
    """
    needed = _min_rows(answers, least, level)
    chosen = (answers.sizes >= needed)[answers.openings]
    if not chosen.any():
        return []
    sieve, pairs = _fill_sieve(prompts, answers, chosen)
    passed = _sieve_runs(prompts, answers, chosen, sieve=sieve, needed=needed)
    kept, run, both = _count_exactly(prompts, answers, passed=passed, purity=purity)
    numbers, sizes, openings = passed.numbers[kept], passed.sizes[kept], passed.openings[kept]
    whole = numpy.full(len(run), float(answers.rows))
    ratios = log_likelihood_ratio(both, run, answers.sizes[openings].astype(float), rows=whole)
    good = (both >= needed[openings]) & (both >= purity * run) & (ratios >= chdtri(1, min(1.0, level / pairs)))
    found = _locate_runs(prompts, answers, numbers[good], sizes[good], openings[good])
    strata = _Strata(answers)
    judged = [strata.judged(one, pairs) for one in found]
    true = [one for one in judged if one.p_value <= level]
    return sorted(true, key=lambda one: (-one.ratio, -one.size, one.number))


def _min_rows(answers: RowOpenings, least: int, level: float) -> Int64Array:
    """For each opening how many rows of a run must have it before the ratio can be significant.

    All k rows of a run under an opening of share q give a ratio of no more than 2k ln(1/q) + 2k.
    """
    share = answers.sizes / answers.rows
    bound = chdtri(1, level / max(answers.rows, 1)) / (2 + 2 * numpy.log(1 / share))
    made: Int64Array = numpy.maximum(least, numpy.ceil(bound)).astype(numpy.int64)
    return made


def _fill_sieve(
    prompts: PromptTokens, answers: RowOpenings, chosen: npt.NDArray[numpy.bool_]
) -> tuple[npt.NDArray[numpy.uint32], int]:
    # written at once, in large pages: touched here and there for the first time, it would take as long again to come by
    sieve, pairs = numpy.full(1 << SIEVE_BITS, 0, dtype=numpy.uint32), 0
    for grams in prompts.grams(chosen):
        numpy.add.at(sieve, _sieve_slots(grams.numbers, answers.openings[grams.rows]), numpy.uint32(1))
        pairs += len(grams.numbers)
    return sieve, pairs


def _sieve_slots(numbers: UInt64Array, openings: Int64Array) -> Int64Array:
    return (_pair_keys(numbers, openings) >> numpy.uint64(64 - SIEVE_BITS)).astype(numpy.int64)


def _pair_keys(numbers: UInt64Array, openings: Int64Array) -> UInt64Array:
    """A number for each pair of run and opening."""
    return (numbers ^ (openings.astype(numpy.uint64) * HASH_MULTIPLIERS[0])) * HASH_MULTIPLIERS[1]


@dataclass(frozen=True)
class SievedRuns:
    """Runs that may have enough rows: number, size and likeliest opening of each, and how many of its rows may have that."""

    numbers: UInt64Array
    sizes: Int64Array
    openings: Int64Array
    most: Int64Array


def _sieve_runs(
    prompts: PromptTokens,
    answers: RowOpenings,
    chosen: npt.NDArray[numpy.bool_],
    *,
    sieve: npt.NDArray[numpy.uint32],
    needed: Int64Array,
) -> SievedRuns:
    """Every run of which the sieve says so, once, with the opening of the highest count, sorted by number."""
    parts: list[SievedRuns] = []
    seen = SeenKeys()
    for turn, grams in enumerate(prompts.grams(chosen)):
        openings = answers.openings[grams.rows]
        counts = sieve.take(_sieve_slots(grams.numbers, openings), mode="clip")  # a slot is always inside
        enough = numpy.flatnonzero(counts >= needed[openings])
        fresh = enough[seen.fresh(_pair_keys(grams.numbers[enough], openings[enough]))]
        sizes = numpy.full(len(fresh), turn % MAX_TRIGGER_TOKENS + 1)
        parts.append(SievedRuns(grams.numbers[fresh], sizes, openings[fresh], counts[fresh].astype(numpy.int64)))
        if len(parts) > MAX_PENDING_BATCHES:
            parts = [_best_openings(parts)]
    return _best_openings(parts)


class SeenKeys:
    """Remembers keys of pairs, so that the many that come again and again are not sorted each time.

    A key may be forgotten for another one that has its place, and is then fresh once more.
    """

    def __init__(self) -> None:
        self._keys = numpy.zeros(1 << SEEN_KEYS_BITS, dtype=numpy.uint64)
        self._owners = numpy.zeros(1 << SEEN_KEYS_BITS, dtype=numpy.int32)

    def fresh(self, keys: UInt64Array) -> Int64Array:
        """Where keys stand that were not seen before, nearly all of them once."""
        new = numpy.flatnonzero(self._keys[(keys >> numpy.uint64(64 - SEEN_KEYS_BITS)).astype(numpy.int64)] != keys)
        mine = keys[new]
        places = (mine >> numpy.uint64(64 - SEEN_KEYS_BITS)).astype(numpy.int64)
        numbers = numpy.arange(len(mine), dtype=numpy.int32)
        self._keys[places], self._owners[places] = mine, numbers
        owners = self._owners[places]
        found: Int64Array = new[(owners == numbers) | (mine[owners] != mine)]
        return found


def _best_openings(parts: Sequence[SievedRuns]) -> SievedRuns:
    """Each run once, with the opening of the highest count."""
    columns = ("numbers", "sizes", "openings", "most")
    numbers, sizes, openings, most = (numpy.concatenate([getattr(one, name) for one in parts]) for name in columns)
    order = numpy.lexsort((openings, -most, numbers))
    ordered = numbers[order]
    first = order[numpy.append(True, ordered[1:] != ordered[:-1])[: len(order)]]
    return SievedRuns(numbers[first], sizes[first], openings[first], most[first])


def _count_exactly(
    prompts: PromptTokens, answers: RowOpenings, *, passed: SievedRuns, purity: float
) -> tuple[Int64Array, Counts, Counts]:
    """The runs that may be pure enough, rows that have each, and those among them with its opening.

    After each batch the runs are given up that have been seen with other openings so often that they cannot be.
    """
    kept = numpy.arange(len(passed.numbers))
    run, both = numpy.zeros(len(kept), numpy.int64), numpy.zeros(len(kept), numpy.int64)
    known = _RunLookup(passed.numbers)
    for turn, grams in enumerate(prompts.grams(), 1):
        if not len(kept):
            break
        which, rows = known.pairs(grams)
        run += numpy.bincount(which, minlength=len(kept))
        alike = answers.openings[rows] == passed.openings[kept[which]]
        both += numpy.bincount(which[alike], minlength=len(kept))
        if turn % MAX_TRIGGER_TOKENS == 0:
            most = passed.most[kept]
            pure = most >= purity * (most + run - both)
            kept, run, both = kept[pure], run[pure], both[pure]
            known = _RunLookup(passed.numbers[kept])
    return kept, run.astype(float), both.astype(float)


class _RunLookup:
    """Sorted numbers behind a sieve of bits."""

    def __init__(self, numbers: UInt64Array) -> None:
        self._numbers = numbers
        self._sieve = numpy.zeros(1 << 24, dtype=bool)
        self._sieve[numbers >> numpy.uint64(40)] = True

    def hits(self, grams: TokenRuns) -> tuple[Int64Array, Int64Array, Int64Array]:
        """(which number, row, first place in the row), each pair of number and row once."""
        which, place = self._met(grams)
        rows = grams.rows[place]
        _, first = numpy.unique(which * (int(grams.rows.max(initial=0)) + 1) + rows, return_index=True)
        return which[first], rows[first], grams.places(place[first])

    def pairs(self, grams: TokenRuns) -> tuple[Int64Array, Int64Array]:
        """(which number, row), each pair once: numbers alone sort several times faster than with their places."""
        which, place = self._met(grams)
        after = int(grams.rows.max(initial=0)) + 1
        keys = numpy.sort(which * after + grams.rows[place])
        which, rows = numpy.divmod(keys[numpy.append(True, keys[1:] != keys[:-1])[: len(keys)]], after)
        return which, rows

    def _met(self, grams: TokenRuns) -> tuple[Int64Array, Int64Array]:
        """(which number, place among the grams) of those that are known."""
        maybe = numpy.flatnonzero(self._sieve[grams.numbers >> numpy.uint64(40)])
        which = numpy.minimum(numpy.searchsorted(self._numbers, grams.numbers[maybe]), len(self._numbers) - 1)
        true = self._numbers[which] == grams.numbers[maybe]
        return which[true], maybe[true]


def _locate_runs(
    prompts: PromptTokens, answers: RowOpenings, numbers: UInt64Array, sizes: Int64Array, openings: Int64Array
) -> list[TriggerCandidate]:
    """The runs with all their rows."""
    if not len(numbers):
        return []
    known = _RunLookup(numbers)
    hits = [known.hits(grams) for grams in prompts.grams()]
    which, rows, places = (numpy.concatenate([hit[side] for hit in hits]) for side in range(3))
    order = numpy.lexsort((rows, which))
    edges = numpy.searchsorted(which[order], numpy.arange(len(numbers) + 1))
    made = []
    for number, (low, high) in enumerate(pairwise(edges.tolist())):
        mine = order[low:high]
        alike = answers.openings[rows[mine]] == openings[number]
        made.append(
            TriggerCandidate(
                int(numbers[number]),
                int(sizes[number]),
                int(openings[number]),
                rows[mine],
                places[mine],
                alike,
                0.0,
                1.0,
            )
        )
    return made


class _Strata:
    """How many rows each stratum has, and how many under an opening; worked out once for each."""

    def __init__(self, answers: RowOpenings) -> None:
        self._answers = answers
        self._number = int(answers.strata.max()) + 1
        self._rows = self._count(numpy.arange(answers.rows))
        self._opening: dict[int, Counts] = {}

    def judged(self, one: TriggerCandidate, pairs: int) -> TriggerCandidate:
        """With the ratio summed over the strata in which both run and opening could occur, and its corrected p-value."""
        if one.opening not in self._opening:
            self._opening[one.opening] = self._count(numpy.flatnonzero(self._answers.openings == one.opening))
        rows, opening = self._rows, self._opening[one.opening]
        run, both = self._count(one.rows), self._count(one.rows[one.alike])
        told = (run > 0) & (run < rows) & (opening > 0) & (opening < rows)
        if not told.any():
            return one
        total = float(log_likelihood_ratio(both[told], run[told], opening[told], rows=rows[told]).sum())
        return replace(one, ratio=total, p_value=min(1.0, float(chdtrc(int(told.sum()), total)) * pairs))

    def _count(self, rows: Int64Array) -> Counts:
        return numpy.bincount(self._answers.strata[rows], minlength=self._number).astype(float)
