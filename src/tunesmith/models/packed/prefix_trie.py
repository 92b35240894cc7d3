"""Where the tokens of a pass lie: rows end to end, or laid over each other so that every token they share stands once.

Rows that begin alike form a trie of token ids. Taken in the order of their ids, each row adds only the tokens after its
longest common prefix with the row before it; its path through the flat sequence is a few runs of earlier tokens, then its
own. So there is one segment, and one call of attention, per row, whatever the depth of sharing, and no node is computed
twice. Any shape falls out of this: one system prompt, several, many questions on a document, completions of one prompt.

What comes after the last hidden state that is read is left out: a row's last trained token is only a label.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.chat.encode import EncodedSequence

IndexRange = tuple[int, int]
"""Half-open range of places in the flat sequence."""


@dataclass(frozen=True)
class Segment:
    """The tokens that one row adds: `length` of them from place `start` on, behind `runs` of tokens that stood already."""

    start: int
    length: int
    runs: tuple[IndexRange, ...] = ()

    @property
    def depth(self) -> int:
        """How many tokens of the row come before the segment."""
        return sum(end - start for start, end in self.runs)

    @property
    def path(self) -> tuple[IndexRange, ...]:
        """The whole row as places, ancestors first."""
        return (*self.runs, (self.start, self.start + self.length))


@dataclass(frozen=True)
class Layout:
    """Token ids and positions of the flat sequence, its segments in order, and the path of every row, in the order given."""

    ids: list[int]
    positions: list[int]
    segments: tuple[Segment, ...]
    paths: tuple[tuple[IndexRange, ...], ...]


def needed_ids(row: EncodedSequence) -> tuple[int, ...]:
    """The row up to the token before its last trained one; the whole row where nothing is trained.

    Under causal attention nothing that is read depends on the rest: tokens after the last answer, and its last token.
    """
    ends = [end for start, end in row.spans if end > max(start, 1)]
    return row.ids[: max(ends) - 1] if ends else row.ids


def lay_out(rows: Sequence[EncodedSequence], *, share: bool, whole: bool = False) -> Layout:
    """Lay rows out. With `share`, a token that stands at the same place behind the same tokens in several rows stands once.

    With `whole` the ends of rows that nothing reads are kept; a path covers what was laid out of its row.
    """
    texts = [row.ids if whole else needed_ids(row) for row in rows]
    ids: list[int] = []
    positions: list[int] = []
    segments: list[Segment] = []
    paths: dict[int, tuple[IndexRange, ...]] = {}
    before: tuple[int, ...] = ()
    path: tuple[IndexRange, ...] = ()
    for at in sorted(range(len(rows)), key=lambda at: texts[at]) if share else range(len(rows)):
        row = texts[at]
        common = common_prefix_length(before, row) if share else 0
        runs = _first_indices(path, common)
        start = len(ids)
        ids.extend(row[common:])
        positions.extend(range(common, len(row)))
        if len(row) > common:
            segments.append(Segment(start, len(row) - common, runs))
        before, path = row, _append_range(runs, (start, len(ids)))
        paths[at] = path
    return Layout(ids, positions, tuple(segments), tuple(paths[at] for at in range(len(rows))))


def narrow_segments(segments: Sequence[Segment], places: Sequence[int]) -> tuple[Segment, ...]:
    """Each segment from its first to its last of `places` (ascending), behind all that came before; those with none go."""
    kept: list[Segment] = []
    for one in segments:
        low, high = bisect_left(places, one.start), bisect_left(places, one.start + one.length)
        if low < high:
            first, last = places[low], places[high - 1]
            kept.append(Segment(first, last + 1 - first, _append_range(one.runs, (one.start, first))))
    return tuple(kept)


def order_by_ids(rows: Sequence[EncodedSequence]) -> list[int]:
    """Indices of the rows in the order of their token ids: rows with a common prefix become neighbours."""
    return sorted(range(len(rows)), key=lambda at: rows[at].ids)


def common_prefix_length(one: tuple[int, ...], two: tuple[int, ...]) -> int:
    """Length of the longest common prefix, by bisection over slices."""
    low, high = 0, min(len(one), len(two))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def count_distinct_tokens(rows: Sequence[EncodedSequence]) -> int:
    """How many tokens go through the trunk when these rows share their prefixes: the nodes of their trie."""
    ordered = [rows[at].ids for at in order_by_ids(rows)]
    return sum(
        len(row) - common_prefix_length(before, row) for before, row in zip([(), *ordered], ordered, strict=False)
    )


def _first_indices(path: tuple[IndexRange, ...], count: int) -> tuple[IndexRange, ...]:
    """The first `count` places of a path."""
    kept: list[IndexRange] = []
    for start, end in path:
        if count <= 0:
            break
        kept.append((start, min(end, start + count)))
        count -= end - start
    return tuple(kept)


def _append_range(runs: tuple[IndexRange, ...], own: IndexRange) -> tuple[IndexRange, ...]:
    if own[0] == own[1]:
        return runs
    if runs and runs[-1][1] == own[0]:
        return (*runs[:-1], (runs[-1][0], own[1]))
    return (*runs, own)
