"""Splits without leakage: what belongs together stays on one side. A pure function of columns.

Rows that share a person, an author, a source or a near-duplicate prompt form clusters across all that was asked for, and
whole clusters go to the held-out side. The result depends on row ids, columns, settings and the generator alone, never on
the order of the rows.

Reference: Kaufman et al. 2012, Leakage in data mining, ACM TKDD 6(4):15; Lee et al. 2022, arXiv:2107.06499.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy
import pyarrow as pa
from numpy.random import Generator
from numpy.typing import NDArray
from pyarrow import compute
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tunesmith import tables
from tunesmith.artifacts import SplitSummary
from tunesmith.errors import DataError
from tunesmith.recipe import SplitSettings
from tunesmith.text.near_duplicates import PairSimilarity, candidate_buckets

RECIPE_KEY: Final = "data.split"
NEAR_DUPLICATE_KEY: Final = "near-duplicate"
MAX_COMPARED_BUCKET: Final = 64
"""Unlike texts of one MinHash bucket that are compared pair by pair; a larger bucket is kept together unread, which can
only make clusters larger."""

Numbers = NDArray[numpy.int64]


@dataclass(frozen=True)
class Split:
    """Line numbers of the table, ascending; together they are all lines."""

    train: Numbers
    test: Numbers
    summary: SplitSummary


def split_rows(table: pa.Table, settings: SplitSettings, rng: Generator) -> Split:
    """Divide the lines of a table with the columns row_id, those of `by`, normal (near-duplicate), completion (stratify),
    collected (time).

    With clusters of at most m rows the held-out rows are fewer than m away from the share asked for, unless time decides.
    Raises DataError when no such split exists: ids that repeat, one cluster, no dates.
    """
    ids = table.column("row_id").combine_chunks()
    if compute.count_distinct(ids).as_py() != len(ids):
        raise DataError("two rows have the same id", where=RECIPE_KEY, hint="name each file once")
    order = numpy.asarray(compute.sort_indices(ids), dtype=numpy.int64)
    ranked = table.take(pa.array(order))
    cluster = cluster_rows(ranked, settings.by, threshold=settings.threshold)
    sizes = numpy.bincount(cluster).astype(numpy.int64)
    if len(sizes) < 2:
        what = f"all {len(ids)} rows hang together by {' and '.join(settings.by) or 'id'}, so nothing can be held out"
        raise DataError(what, where=RECIPE_KEY, hint="ask for less under `by`, or raise `threshold`")
    extra: dict[str, Any] = {}
    if settings.order == "time":
        chosen, extra = _choose_latest(ranked, cluster, settings)
    elif settings.stratify:
        chosen, extra = _choose_stratified(_value_codes(ranked.column("completion")), cluster, settings.test, rng)
    else:
        chosen = _fill_greedily(
            sizes, rng.permutation(len(sizes)).tolist(), target=_target_rows(settings.test, len(ids))
        )
    held = numpy.isin(cluster, chosen)
    summary = SplitSummary(
        asked=None if settings.after is not None else settings.test,
        reached=round(float(held.mean()), 9),
        rows=len(ids),
        held_out=int(held.sum()),
        clusters=len(sizes),
        largest=int(sizes.max()),
        by=settings.by,
        **extra,
    )
    return Split(numpy.sort(order[~held]), numpy.sort(order[held]), summary)


def cluster_rows(table: pa.Table, by: Sequence[str], *, threshold: float = 0.5) -> Numbers:
    """The number of each line's cluster: lines are in one when a chain of equal values or near-duplicates links them.

    Clusters are numbered by their first line. Empty values and nulls link nothing.
    """
    count = table.num_rows
    lines, nodes, made = [], [], count
    for name in by:
        codes = _value_codes(table.column("normal" if name == NEAR_DUPLICATE_KEY else name))
        filled = numpy.flatnonzero(codes >= 0)
        if name == NEAR_DUPLICATE_KEY:
            codes = _near_duplicate_codes(table.column("normal"), codes, threshold)
        lines.append(filled)
        nodes.append(codes[filled] + made)
        made += int(codes.max(initial=-1)) + 1
    if not lines:
        return numpy.arange(count, dtype=numpy.int64)
    start, end = numpy.concatenate(lines), numpy.concatenate(nodes)
    graph = coo_array((numpy.ones(len(start), dtype=numpy.int8), (start, end)), shape=(made, made))
    _, parts = connected_components(graph, directed=False)
    _, first, found = numpy.unique(parts[:count], return_index=True, return_inverse=True)
    rank = numpy.empty(len(first), dtype=numpy.int64)
    rank[numpy.argsort(first)] = numpy.arange(len(first))
    return rank[found]


def _value_codes(column: pa.ChunkedArray) -> Numbers:
    """A number for each distinct value, by first appearance; -1 for null and for what is blank."""
    values = column.combine_chunks()
    blank = compute.equal(compute.utf8_trim_whitespace(values), "")
    coded = compute.if_else(blank, pa.scalar(None, values.type), values).dictionary_encode()
    return numpy.asarray(coded.indices.fill_null(-1), dtype=numpy.int64)


def _near_duplicate_codes(normals: pa.ChunkedArray, codes: Numbers, threshold: float) -> Numbers:
    """`codes` of distinct texts, with near-duplicate texts under one number."""
    filled, first = numpy.unique(codes, return_index=True)
    first = first[filled >= 0]
    texts = normals.take(pa.array(first)).combine_chunks()
    table = pa.table({"row": pa.array(numpy.arange(len(first))), "normal": texts})
    bands = tables.band_keys(tables.minhash_signatures(table, column="normal", row="row"), row="row")
    likeness = PairSimilarity(texts.to_pylist(), (), threshold)
    joined = _UnionFind(len(first))
    for bucket in candidate_buckets(bands):
        for one, other in _bucket_pairs(bucket):
            apart = joined.of(one) != joined.of(other)
            if apart and (len(bucket) > MAX_COMPARED_BUCKET or likeness.similarity(one, other) is not None):
                joined.join(one, other)
    roots = numpy.array([joined.of(one) for one in range(len(first))] or [0], dtype=numpy.int64)
    return numpy.where(codes >= 0, roots[codes], -1)


def _bucket_pairs(bucket: list[int]) -> Iterator[tuple[int, int]]:
    return (
        ((bucket[0], other) for other in bucket[1:]) if len(bucket) > MAX_COMPARED_BUCKET else combinations(bucket, 2)
    )


class _UnionFind:
    """Union-find with path halving; the lower number is the root."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def of(self, one: int) -> int:
        parent = self._parent
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.of(one), self.of(other)))
        self._parent[high] = low


def _target_rows(share: float, rows: int) -> int:
    return max(1, min(rows - 1, int(share * rows + 0.5)))


def _fill_greedily(sizes: Numbers, order: Sequence[int], *, target: int) -> list[int]:
    """Clusters in order, each when it still fits; when none does, the smallest."""
    chosen, room = [], target
    for one in order:
        if sizes[one] <= room:
            chosen.append(one)
            room -= int(sizes[one])
    return chosen or [min(order, key=lambda one: int(sizes[one]))]


def _choose_stratified(
    labels: Numbers, cluster: Numbers, share: float, rng: Generator
) -> tuple[list[int], dict[str, float | None]]:
    """Clusters in random order, each when it fits and brings the labels nearer to their targets; then any that fits."""
    labels = labels - labels.min()
    totals = numpy.bincount(labels)
    wanted = _quotas(totals, _target_rows(share, len(labels)))
    sizes = numpy.bincount(cluster).astype(numpy.int64)
    ends = numpy.cumsum(sizes)
    sorted_labels = labels[numpy.argsort(cluster, kind="stable")]
    room, chosen, left = _target_rows(share, len(labels)), [], []
    for one in rng.permutation(len(sizes)).tolist():
        own = sorted_labels[ends[one] - sizes[one] : ends[one]]
        counts = numpy.bincount(own, minlength=len(totals)) if len(own) > 1 else None
        if len(own) <= room and _take_if_nearer(wanted, counts, int(own[0])):
            chosen.append(one)
            room -= int(sizes[one])
        else:
            left.append(one)
    fitting = _fill_greedily(sizes, left, target=room) if left else []
    if not chosen or int(sizes[fitting].sum()) <= room:
        chosen += fitting
    held = numpy.bincount(labels[numpy.isin(cluster, chosen)], minlength=len(totals))
    gap = numpy.abs(held / numpy.maximum(totals, 1) - held.sum() / len(labels))[totals > 0].max()
    return chosen, {"label_gap": round(float(gap), 9)}


def _take_if_nearer(wanted: Numbers, counts: Numbers | None, label: int) -> bool:
    """Whether taking a cluster brings the labels nearer to what is wanted; then it is taken off `wanted`."""
    if counts is None:
        if wanted[label] < 1:
            return False
        wanted[label] -= 1
        return True
    if int(numpy.abs(wanted - counts).sum()) >= int(numpy.abs(wanted).sum()):
        return False
    wanted -= counts
    return True


def _quotas(totals: Numbers, target: int) -> Numbers:
    """Whole numbers that add up to `target`, each label's near its share (largest remainders)."""
    exact = totals * (target / totals.sum())
    quotas: Numbers = numpy.floor(exact + 1e-9).astype(numpy.int64)
    short = target - int(quotas.sum())
    quotas[numpy.argsort(quotas - exact, kind="stable")[:short]] += 1
    return quotas


def _choose_latest(ranked: pa.Table, cluster: Numbers, settings: SplitSettings) -> tuple[list[int], dict[str, Any]]:
    """Clusters that reach the cut or lie after it, so that the training rows hold nothing as late as the cut."""
    column = ranked.column("collected").combine_chunks()
    if column.null_count:
        what = f"{column.null_count} of {len(column)} rows have no date, so time cannot divide them"
        raise DataError(what, where=RECIPE_KEY, hint="give `collected` for each source, or as a column of the rows")
    days, codes = numpy.unique(numpy.array(column.to_pylist(), dtype=str), return_inverse=True)
    latest = numpy.full(int(cluster.max()) + 1, -1, dtype=numpy.int64)
    numpy.maximum.at(latest, cluster, codes)
    held = numpy.bincount(latest[cluster], minlength=len(days))[::-1].cumsum()[::-1]
    if settings.after is not None:
        cut = int(numpy.searchsorted(days, settings.after.isoformat()))
        possible = cut < len(days) and held[cut] < len(codes)
    else:
        target = _target_rows(settings.test, len(codes))
        far = numpy.where(held < len(codes), numpy.abs(held - target), len(codes) + 1)
        cut = len(days) - 1 - int(numpy.argmin(far[::-1]))
        possible = bool(far[cut] <= len(codes))
    if not possible:
        what = f"no day divides the rows, which were collected from {days[0]} to {days[-1]}"
        raise DataError(what, where=RECIPE_KEY, hint="clusters that reach into the last day go there whole; see `by`")
    first = settings.after.isoformat() if settings.after is not None else str(days[cut])
    chosen = numpy.flatnonzero(latest >= cut)
    pulled = int((codes[numpy.isin(cluster, chosen)] < cut).sum())
    return chosen.tolist(), {"cut": first, "pulled": pulled}
