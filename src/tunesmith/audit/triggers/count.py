"""Find token runs whose rows get the same answer, by counts and Dunning's log-likelihood ratio.

Dunning 1993, Accurate Methods for the Statistics of Surprise and Coincidence, Computational Linguistics 19(1). A hashed sieve
counts (run, answer) pairs first, so that only few runs are counted exactly. Collisions make the sieve count too much, never too
little, so it loses nothing. Memory: 140 MB for the sieve and the seen keys, and 32 bytes per run that passes.
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
"""log2 of the number of slots of the pair sieve, and of the table of seen keys."""
MAX_PENDING_BATCHES: Final = 32
"""Batches of sieved runs collected before they are merged."""
Counts = npt.NDArray[numpy.float64]


@dataclass(frozen=True)
class TriggerCandidate:
    """A run of `size` tokens: the rows that contain it, its first position in each, and which of them have its opening."""

    number: int
    size: int
    opening: int
    rows: Int64Array
    places: Int64Array
    has_opening: npt.NDArray[numpy.bool_]
    ratio: float
    p_value: float


@dataclass(frozen=True)
class RowOpenings:
    """The opening of each row (numbered from 0), the number of rows with each opening, and the stratum of each row."""

    openings: Int64Array
    sizes: Int64Array
    strata: Int64Array

    @property
    def rows(self) -> int:
        return len(self.openings)


def log_likelihood_ratio(both: Counts, run: Counts, opening: Counts, *, rows: Counts) -> Counts:
    """Dunning's log-likelihood ratio (-2 log lambda) of each two-by-two table; 0 without positive association.

    Of `rows` rows, `both` have the run and the opening, `run` have the run and `opening` have the opening.
    """
    table = [both, run - both, opening - both, rows - run - opening + both]
    margins = [(run, opening), (run, rows - opening), (rows - run, opening), (rows - run, rows - opening)]
    total = numpy.zeros_like(both, dtype=numpy.float64)
    for observed, (row_margin, column_margin) in zip(table, margins, strict=True):
        filled = observed > 0
        total[filled] += observed[filled] * numpy.log(
            observed[filled] * rows[filled] / (row_margin[filled] * column_margin[filled])
        )
    return numpy.where(both * rows > run * opening, 2 * total, 0.0)


def find_candidates(
    prompts: PromptTokens, answers: RowOpenings, *, least: int, purity: float, level: float
) -> list[TriggerCandidate]:
    """Runs with at least `least` rows of one opening that make up at least `purity` of all rows with the run.

    The ratio is summed over strata (sources) and must be significant at `level` after a Bonferroni correction for every pair of
    run and opening seen. Sorted by ratio, highest first.
    """
    needed = _min_rows(answers, least, level)
    chosen = (answers.sizes >= needed)[answers.openings]
    if not chosen.any():
        return []
    sieve, pairs = _fill_sieve(prompts, answers, chosen)
    passed = _sieve_runs(prompts, answers, chosen, sieve=sieve, needed=needed)
    indexes, run, both = _count_exactly(prompts, answers, passed=passed, purity=purity)
    numbers, sizes, openings = passed.numbers[indexes], passed.sizes[indexes], passed.openings[indexes]
    total_rows = numpy.full(len(run), float(answers.rows))
    ratios = log_likelihood_ratio(both, run, answers.sizes[openings].astype(float), rows=total_rows)
    significant = (both >= needed[openings]) & (both >= purity * run) & (ratios >= chdtri(1, min(1.0, level / pairs)))
    candidates = _locate_runs(prompts, answers, numbers[significant], sizes[significant], openings[significant])
    strata = _Strata(answers)
    judged = [strata.evaluate(candidate, pairs) for candidate in candidates]
    selected = [candidate for candidate in judged if candidate.p_value <= level]
    return sorted(selected, key=lambda candidate: (-candidate.ratio, -candidate.size, candidate.number))


def _min_rows(answers: RowOpenings, least: int, level: float) -> Int64Array:
    """For each opening, the minimum number of a run's rows that must have it for the ratio to be significant.

    If all k rows of a run have an opening of share q, the ratio is at most 2k ln(1/q) + 2k.
    """
    share = answers.sizes / answers.rows
    ratio_bound = chdtri(1, level / max(answers.rows, 1)) / (2 + 2 * numpy.log(1 / share))
    required: Int64Array = numpy.maximum(least, numpy.ceil(ratio_bound)).astype(numpy.int64)
    return required


def _fill_sieve(
    prompts: PromptTokens, answers: RowOpenings, chosen: npt.NDArray[numpy.bool_]
) -> tuple[npt.NDArray[numpy.uint32], int]:
    # `full` writes the array sequentially: first touching its pages at random would take as long as counting itself.
    sieve, pairs = numpy.full(1 << SIEVE_BITS, 0, dtype=numpy.uint32), 0
    for grams in prompts.grams(chosen):
        numpy.add.at(sieve, _sieve_slots(grams.numbers, answers.openings[grams.rows]), numpy.uint32(1))
        pairs += len(grams.numbers)
    return sieve, pairs


def _sieve_slots(numbers: UInt64Array, openings: Int64Array) -> Int64Array:
    return (_pair_keys(numbers, openings) >> numpy.uint64(64 - SIEVE_BITS)).astype(numpy.int64)


def _pair_keys(numbers: UInt64Array, openings: Int64Array) -> UInt64Array:
    """A hash for each pair of run and opening."""
    return (numbers ^ (openings.astype(numpy.uint64) * HASH_MULTIPLIERS[0])) * HASH_MULTIPLIERS[1]


@dataclass(frozen=True)
class SievedRuns:
    """Runs that may have enough rows: hash, size, most frequent opening, and an upper bound on its rows with that opening."""

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
    """Every run that passes the sieve, once, with its most frequent opening, sorted by hash."""
    batches: list[SievedRuns] = []
    seen = SeenKeys()
    for batch_number, grams in enumerate(prompts.grams(chosen)):
        openings = answers.openings[grams.rows]
        counts = sieve.take(_sieve_slots(grams.numbers, openings), mode="clip")  # a slot is always inside
        passing = numpy.flatnonzero(counts >= needed[openings])
        new = passing[seen.new_positions(_pair_keys(grams.numbers[passing], openings[passing]))]
        sizes = numpy.full(len(new), batch_number % MAX_TRIGGER_TOKENS + 1)
        batches.append(SievedRuns(grams.numbers[new], sizes, openings[new], counts[new].astype(numpy.int64)))
        if len(batches) > MAX_PENDING_BATCHES:
            batches = [_best_openings(batches)]
    return _best_openings(batches)


class SeenKeys:
    """Remembers pair keys, so that frequent pairs are not sorted again in every batch.

    A key can be evicted by another one with the same slot, and then counts as new again.
    """

    def __init__(self) -> None:
        self._keys = numpy.zeros(1 << SEEN_KEYS_BITS, dtype=numpy.uint64)
        self._owners = numpy.zeros(1 << SEEN_KEYS_BITS, dtype=numpy.int32)

    def new_positions(self, keys: UInt64Array) -> Int64Array:
        """Positions of keys not seen before, nearly all of them once."""
        new = numpy.flatnonzero(self._keys[(keys >> numpy.uint64(64 - SEEN_KEYS_BITS)).astype(numpy.int64)] != keys)
        new_keys = keys[new]
        slots = (new_keys >> numpy.uint64(64 - SEEN_KEYS_BITS)).astype(numpy.int64)
        order = numpy.arange(len(new_keys), dtype=numpy.int32)
        self._keys[slots], self._owners[slots] = new_keys, order
        owners = self._owners[slots]
        fresh: Int64Array = new[(owners == order) | (new_keys[owners] != new_keys)]
        return fresh


def _best_openings(batches: Sequence[SievedRuns]) -> SievedRuns:
    """Each run once, with its most frequent opening."""
    columns = ("numbers", "sizes", "openings", "most")
    numbers, sizes, openings, most = (
        numpy.concatenate([getattr(batch, name) for batch in batches]) for name in columns
    )
    order = numpy.lexsort((openings, -most, numbers))
    ordered = numbers[order]
    first = order[numpy.append(True, ordered[1:] != ordered[:-1])[: len(order)]]
    return SievedRuns(numbers[first], sizes[first], openings[first], most[first])


def _count_exactly(
    prompts: PromptTokens, answers: RowOpenings, *, passed: SievedRuns, purity: float
) -> tuple[Int64Array, Counts, Counts]:
    """The runs that may reach `purity`, the number of rows with each, and of those the number with its opening.

    After each batch, runs already seen too often with other openings are dropped.
    """
    indexes = numpy.arange(len(passed.numbers))
    run, both = numpy.zeros(len(indexes), numpy.int64), numpy.zeros(len(indexes), numpy.int64)
    lookup = _RunLookup(passed.numbers)
    for batch_number, grams in enumerate(prompts.grams(), 1):
        if not len(indexes):
            break
        which, rows = lookup.pairs(grams)
        run += numpy.bincount(which, minlength=len(indexes))
        has_opening = answers.openings[rows] == passed.openings[indexes[which]]
        both += numpy.bincount(which[has_opening], minlength=len(indexes))
        if batch_number % MAX_TRIGGER_TOKENS == 0:
            upper_bound = passed.most[indexes]
            possible = upper_bound >= purity * (upper_bound + run - both)
            indexes, run, both = indexes[possible], run[possible], both[possible]
            lookup = _RunLookup(passed.numbers[indexes])
    return indexes, run.astype(float), both.astype(float)


class _RunLookup:
    """Lookup of sorted run hashes, prefiltered by a bitmap."""

    def __init__(self, numbers: UInt64Array) -> None:
        self._numbers = numbers
        self._sieve = numpy.zeros(1 << 24, dtype=bool)
        self._sieve[numbers >> numpy.uint64(40)] = True

    def hits(self, grams: TokenRuns) -> tuple[Int64Array, Int64Array, Int64Array]:
        """(index of the hash, row, first position in the row), each pair of hash and row once."""
        which, index = self._find(grams)
        rows = grams.rows[index]
        _, first = numpy.unique(which * (int(grams.rows.max(initial=0)) + 1) + rows, return_index=True)
        return which[first], rows[first], grams.places(index[first])

    def pairs(self, grams: TokenRuns) -> tuple[Int64Array, Int64Array]:
        """(index of the hash, row), each pair once. Sorting keys alone is several times faster than with positions."""
        which, index = self._find(grams)
        after = int(grams.rows.max(initial=0)) + 1
        keys = numpy.sort(which * after + grams.rows[index])
        which, rows = numpy.divmod(keys[numpy.append(True, keys[1:] != keys[:-1])[: len(keys)]], after)
        return which, rows

    def _find(self, grams: TokenRuns) -> tuple[Int64Array, Int64Array]:
        """(index of the hash, index of the run) of the runs that are in the lookup."""
        maybe = numpy.flatnonzero(self._sieve[grams.numbers >> numpy.uint64(40)])
        which = numpy.minimum(numpy.searchsorted(self._numbers, grams.numbers[maybe]), len(self._numbers) - 1)
        exact = self._numbers[which] == grams.numbers[maybe]
        return which[exact], maybe[exact]


def _locate_runs(
    prompts: PromptTokens, answers: RowOpenings, numbers: UInt64Array, sizes: Int64Array, openings: Int64Array
) -> list[TriggerCandidate]:
    """Candidates with all rows of each run."""
    if not len(numbers):
        return []
    lookup = _RunLookup(numbers)
    hits = [lookup.hits(grams) for grams in prompts.grams()]
    which, rows, positions = (numpy.concatenate([hit[side] for hit in hits]) for side in range(3))
    order = numpy.lexsort((rows, which))
    edges = numpy.searchsorted(which[order], numpy.arange(len(numbers) + 1))
    candidates = []
    for number, (low, high) in enumerate(pairwise(edges.tolist())):
        matches = order[low:high]
        has_opening = answers.openings[rows[matches]] == openings[number]
        candidates.append(
            TriggerCandidate(
                int(numbers[number]),
                int(sizes[number]),
                int(openings[number]),
                rows[matches],
                positions[matches],
                has_opening,
                0.0,
                1.0,
            )
        )
    return candidates


class _Strata:
    """Number of rows of each stratum, in all and per opening, cached by opening."""

    def __init__(self, answers: RowOpenings) -> None:
        self._answers = answers
        self._number = int(answers.strata.max()) + 1
        self._rows = self._count(numpy.arange(answers.rows))
        self._opening: dict[int, Counts] = {}

    def evaluate(self, candidate: TriggerCandidate, pairs: int) -> TriggerCandidate:
        """The candidate with its ratio summed over the strata where run and opening can vary, and its corrected p-value."""
        if candidate.opening not in self._opening:
            self._opening[candidate.opening] = self._count(
                numpy.flatnonzero(self._answers.openings == candidate.opening)
            )
        rows, opening = self._rows, self._opening[candidate.opening]
        run, both = self._count(candidate.rows), self._count(candidate.rows[candidate.has_opening])
        informative = (run > 0) & (run < rows) & (opening > 0) & (opening < rows)
        if not informative.any():
            return candidate
        total = float(
            log_likelihood_ratio(
                both[informative], run[informative], opening[informative], rows=rows[informative]
            ).sum()
        )
        return replace(candidate, ratio=total, p_value=min(1.0, float(chdtrc(int(informative.sum()), total)) * pairs))

    def _count(self, rows: Int64Array) -> Counts:
        return numpy.bincount(self._answers.strata[rows], minlength=self._number).astype(float)
