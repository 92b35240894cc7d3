"""Train/test splits without leakage: related rows stay on one side. A pure function of columns.

Rows that share a person, an author, a source or a near-duplicate prompt form clusters, and whole clusters are held out. The
result depends only on row ids, columns, settings and the random generator, never on the order of the rows.

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
"""Maximum number of texts of one MinHash bucket that are compared pair by pair; a larger bucket becomes one cluster without
comparison, which can only make clusters larger."""

Numbers = NDArray[numpy.int64]


@dataclass(frozen=True)
class Split:
    """Ascending row positions of each side; together they cover the table."""

    train: Numbers
    test: Numbers
    summary: SplitSummary


def split_rows(table: pa.Table, settings: SplitSettings, rng: Generator) -> Split:
    """Split a table with the columns row_id, those named in `by`, normal (for near-duplicate), completion (for stratify) and
    collected (for time).

    With clusters of at most m rows, the number of held-out rows is less than m away from the requested share, except for splits
    by time. Raises DataError when there is no such split: repeated ids, a single cluster, missing dates.
    """
    ids = table.column("row_id").combine_chunks()
    if compute.count_distinct(ids).as_py() != len(ids):
        raise DataError("two rows have the same id", where=RECIPE_KEY, hint="list each file only once")
    order = numpy.asarray(compute.sort_indices(ids), dtype=numpy.int64)
    ranked = table.take(pa.array(order))
    cluster_of = cluster_rows(ranked, settings.by, threshold=settings.threshold)
    sizes = numpy.bincount(cluster_of).astype(numpy.int64)
    if len(sizes) < 2:
        message = (
            f"all {len(ids)} rows form one cluster by {' and '.join(settings.by) or 'id'}, so none can be held out"
        )
        raise DataError(message, where=RECIPE_KEY, hint="remove a field from `by`, or raise `threshold`")
    details: dict[str, Any] = {}
    if settings.order == "time":
        chosen, details = _choose_latest(ranked, cluster_of, settings)
    elif settings.stratify:
        chosen, details = _choose_stratified(_value_codes(ranked.column("completion")), cluster_of, settings.test, rng)
    else:
        chosen = _fill_greedily(
            sizes, rng.permutation(len(sizes)).tolist(), target=_target_rows(settings.test, len(ids))
        )
    is_held_out = numpy.isin(cluster_of, chosen)
    summary = SplitSummary(
        asked=None if settings.after is not None else settings.test,
        reached=round(float(is_held_out.mean()), 9),
        rows=len(ids),
        held_out=int(is_held_out.sum()),
        clusters=len(sizes),
        largest=int(sizes.max()),
        by=settings.by,
        **details,
    )
    return Split(numpy.sort(order[~is_held_out]), numpy.sort(order[is_held_out]), summary)


def cluster_rows(table: pa.Table, by: Sequence[str], *, threshold: float = 0.5) -> Numbers:
    """The cluster number of each row; rows linked by a chain of equal values or near-duplicates share a cluster.

    Clusters are numbered by their first row. Empty values and nulls link nothing.
    """
    count = table.num_rows
    row_lists, nodes, node_count = [], [], count
    for name in by:
        codes = _value_codes(table.column("normal" if name == NEAR_DUPLICATE_KEY else name))
        present = numpy.flatnonzero(codes >= 0)
        if name == NEAR_DUPLICATE_KEY:
            codes = _near_duplicate_codes(table.column("normal"), codes, threshold)
        row_lists.append(present)
        nodes.append(codes[present] + node_count)
        node_count += int(codes.max(initial=-1)) + 1
    if not row_lists:
        return numpy.arange(count, dtype=numpy.int64)
    start, end = numpy.concatenate(row_lists), numpy.concatenate(nodes)
    graph = coo_array((numpy.ones(len(start), dtype=numpy.int8), (start, end)), shape=(node_count, node_count))
    _, components = connected_components(graph, directed=False)
    _, first, component = numpy.unique(components[:count], return_index=True, return_inverse=True)
    rank = numpy.empty(len(first), dtype=numpy.int64)
    rank[numpy.argsort(first)] = numpy.arange(len(first))
    return rank[component]


def _value_codes(column: pa.ChunkedArray) -> Numbers:
    """A number for each distinct value, by first appearance; -1 for nulls and blank values."""
    values = column.combine_chunks()
    blank = compute.equal(compute.utf8_trim_whitespace(values), "")
    coded = compute.if_else(blank, pa.scalar(None, values.type), values).dictionary_encode()
    return numpy.asarray(coded.indices.fill_null(-1), dtype=numpy.int64)


def _near_duplicate_codes(normals: pa.ChunkedArray, codes: Numbers, threshold: float) -> Numbers:
    """`codes` of distinct texts with near-duplicate texts merged under one number."""
    distinct, first = numpy.unique(codes, return_index=True)
    first = first[distinct >= 0]
    texts = normals.take(pa.array(first)).combine_chunks()
    table = pa.table({"row": pa.array(numpy.arange(len(first))), "normal": texts})
    bands = tables.band_keys(tables.minhash_signatures(table, column="normal", row="row"), row="row")
    likeness = PairSimilarity(texts.to_pylist(), (), threshold)
    union = _UnionFind(len(first))
    for bucket in candidate_buckets(bands):
        for number, other in _bucket_pairs(bucket):
            apart = union.root(number) != union.root(other)
            if apart and (len(bucket) > MAX_COMPARED_BUCKET or likeness.similarity(number, other) is not None):
                union.join(number, other)
    roots = numpy.array([union.root(number) for number in range(len(first))] or [0], dtype=numpy.int64)
    return numpy.where(codes >= 0, roots[codes], -1)


def _bucket_pairs(bucket: list[int]) -> Iterator[tuple[int, int]]:
    return (
        ((bucket[0], other) for other in bucket[1:]) if len(bucket) > MAX_COMPARED_BUCKET else combinations(bucket, 2)
    )


class _UnionFind:
    """Union-find with path halving; the lowest number of a set is its root."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, number: int) -> int:
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    def join(self, first: int, second: int) -> None:
        low, high = sorted((self.root(first), self.root(second)))
        self._parent[high] = low


def _target_rows(share: float, rows: int) -> int:
    return max(1, min(rows - 1, int(share * rows + 0.5)))


def _fill_greedily(sizes: Numbers, order: Sequence[int], *, target: int) -> list[int]:
    """Take clusters in order while they fit into `target` rows; if none fits, the smallest one."""
    chosen, remaining = [], target
    for cluster in order:
        if sizes[cluster] <= remaining:
            chosen.append(cluster)
            remaining -= int(sizes[cluster])
    return chosen or [min(order, key=lambda cluster: int(sizes[cluster]))]


def _choose_stratified(
    labels: Numbers, cluster_of: Numbers, share: float, rng: Generator
) -> tuple[list[int], dict[str, float | None]]:
    """Take clusters in random order if they fit and bring the labels nearer to their quotas; then any that fit."""
    labels = labels - labels.min()
    totals = numpy.bincount(labels)
    quotas = _quotas(totals, _target_rows(share, len(labels)))
    sizes = numpy.bincount(cluster_of).astype(numpy.int64)
    ends = numpy.cumsum(sizes)
    sorted_labels = labels[numpy.argsort(cluster_of, kind="stable")]
    remaining, chosen, skipped = _target_rows(share, len(labels)), [], []
    for number in rng.permutation(len(sizes)).tolist():
        cluster_labels = sorted_labels[ends[number] - sizes[number] : ends[number]]
        counts = numpy.bincount(cluster_labels, minlength=len(totals)) if len(cluster_labels) > 1 else None
        if len(cluster_labels) <= remaining and _take_if_nearer(quotas, counts, int(cluster_labels[0])):
            chosen.append(number)
            remaining -= int(sizes[number])
        else:
            skipped.append(number)
    fitting = _fill_greedily(sizes, skipped, target=remaining) if skipped else []
    if not chosen or int(sizes[fitting].sum()) <= remaining:
        chosen += fitting
    held_labels = numpy.bincount(labels[numpy.isin(cluster_of, chosen)], minlength=len(totals))
    gap = numpy.abs(held_labels / numpy.maximum(totals, 1) - held_labels.sum() / len(labels))[totals > 0].max()
    return chosen, {"label_gap": round(float(gap), 9)}


def _take_if_nearer(quotas: Numbers, counts: Numbers | None, label: int) -> bool:
    """Subtract a cluster from `wanted` and return True if that brings the labels nearer to their quotas."""
    if counts is None:
        if quotas[label] < 1:
            return False
        quotas[label] -= 1
        return True
    if int(numpy.abs(quotas - counts).sum()) >= int(numpy.abs(quotas).sum()):
        return False
    quotas -= counts
    return True


def _quotas(totals: Numbers, target: int) -> Numbers:
    """Integers that sum to `target`, proportional to `totals` (largest remainder method)."""
    exact = totals * (target / totals.sum())
    quotas: Numbers = numpy.floor(exact + 1e-9).astype(numpy.int64)
    short = target - int(quotas.sum())
    quotas[numpy.argsort(quotas - exact, kind="stable")[:short]] += 1
    return quotas


def _choose_latest(ranked: pa.Table, cluster_of: Numbers, settings: SplitSettings) -> tuple[list[int], dict[str, Any]]:
    """Clusters with a row on or after the cut date, so that all training rows are earlier than the cut."""
    column = ranked.column("collected").combine_chunks()
    if column.null_count:
        message = f"{column.null_count} of {len(column)} rows have no date, so they cannot be split by time"
        raise DataError(
            message, where=RECIPE_KEY, hint="set `collected` for each source, or add it as a column of the rows"
        )
    days, codes = numpy.unique(numpy.array(column.to_pylist(), dtype=str), return_inverse=True)
    latest = numpy.full(int(cluster_of.max()) + 1, -1, dtype=numpy.int64)
    numpy.maximum.at(latest, cluster_of, codes)
    held_out_from = numpy.bincount(latest[cluster_of], minlength=len(days))[::-1].cumsum()[::-1]
    if settings.after is not None:
        cut = int(numpy.searchsorted(days, settings.after.isoformat()))
        possible = cut < len(days) and held_out_from[cut] < len(codes)
    else:
        target = _target_rows(settings.test, len(codes))
        distance = numpy.where(held_out_from < len(codes), numpy.abs(held_out_from - target), len(codes) + 1)
        cut = len(days) - 1 - int(numpy.argmin(distance[::-1]))
        possible = bool(distance[cut] <= len(codes))
    if not possible:
        message = f"no date splits the rows, which were collected from {days[0]} to {days[-1]}"
        raise DataError(
            message,
            where=RECIPE_KEY,
            hint="clusters with a row on the last day are held out whole; remove a field from `by`",
        )
    first = settings.after.isoformat() if settings.after is not None else str(days[cut])
    chosen = numpy.flatnonzero(latest >= cut)
    moved = int((codes[numpy.isin(cluster_of, chosen)] < cut).sum())
    return chosen.tolist(), {"cut": first, "pulled": moved}
