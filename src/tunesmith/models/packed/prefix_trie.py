"""Order the tokens of a batch in one flat sequence, each shared prefix stored once.

Rows that begin with the same tokens form a trie. Rows are visited in the order of their token ids, so each row adds only the
tokens behind its longest common prefix with the row before it. The path of a row through the flat sequence is a few ranges of
earlier tokens, then its own. Attention therefore runs once per row, whatever the depth of sharing, and no token is computed
twice. One system prompt, several, many questions on one document, many completions of one prompt: all are the same case.

Tokens after the last hidden state that the loss reads are dropped: the last trained token of a row is only a label.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from tunesmith.chat.encode import EncodedSequence

IndexRange = tuple[int, int]
"""Half-open range of indices into the flat sequence."""


@dataclass(frozen=True)
class Segment:
    """The `length` tokens that one row adds from flat index `start` on. `prefix` is where its shared tokens are stored."""

    start: int
    length: int
    prefix: tuple[IndexRange, ...] = ()

    @property
    def end(self) -> int:
        """Flat index behind the last token."""
        return self.start + self.length

    @property
    def prefix_length(self) -> int:
        """How many tokens of the row precede the segment."""
        return sum(end - start for start, end in self.prefix)

    @property
    def path_length(self) -> int:
        """Tokens of the row up to the end of the segment."""
        return self.prefix_length + self.length

    @property
    def path(self) -> tuple[IndexRange, ...]:
        """Where the whole row is stored: its shared prefix, then its own tokens."""
        return (*self.prefix, (self.start, self.end))


@dataclass(frozen=True)
class Layout:
    """Token ids and positions of the flat sequence, its segments in order, and the path of every row in the given order."""

    ids: list[int]
    positions: list[int]
    segments: tuple[Segment, ...]
    paths: tuple[tuple[IndexRange, ...], ...]


def needed_ids(row: EncodedSequence) -> tuple[int, ...]:
    """The row up to the token before its last trained one; the whole row if nothing is trained.

    Attention is causal, so neither the loss nor a gradient depends on later tokens.
    """
    ends = [end for start, end in row.spans if end > max(start, 1)]
    return row.ids[: max(ends) - 1] if ends else row.ids


def lay_out(rows: Sequence[EncodedSequence], *, share: bool, whole: bool = False) -> Layout:
    """Build the flat sequence. With `share`, tokens behind the same prefix are stored once for all rows.

    `whole` keeps the tokens that `needed_ids` drops. A path covers only the tokens that were kept.
    """
    kept_ids = [row.ids if whole else needed_ids(row) for row in rows]
    ids: list[int] = []
    positions: list[int] = []
    segments: list[Segment] = []
    paths: dict[int, tuple[IndexRange, ...]] = {}
    previous: tuple[int, ...] = ()
    path: tuple[IndexRange, ...] = ()
    for number in sorted(range(len(rows)), key=lambda at: kept_ids[at]) if share else range(len(rows)):
        row = kept_ids[number]
        common = common_prefix_length(previous, row) if share else 0
        prefix = _first_indices(path, common)
        start = len(ids)
        ids.extend(row[common:])
        positions.extend(range(common, len(row)))
        if len(row) > common:
            segments.append(Segment(start, len(row) - common, prefix))
        previous, path = row, _append_range(prefix, (start, len(ids)))
        paths[number] = path
    return Layout(ids, positions, tuple(segments), tuple(paths[number] for number in range(len(rows))))


def path_indices(path: Sequence[IndexRange]) -> list[int]:
    """The flat indices of a path, in order."""
    return [index for start, end in path for index in range(start, end)]


def narrow_segments(segments: Sequence[Segment], indices: Sequence[int]) -> tuple[Segment, ...]:
    """Cut each segment to the span of the `indices` (ascending) in it; what precedes the span joins its prefix.

    Segments without an index are dropped.
    """
    narrowed: list[Segment] = []
    for segment in segments:
        low, high = bisect_left(indices, segment.start), bisect_left(indices, segment.end)
        if low < high:
            first, last = indices[low], indices[high - 1]
            prefix = _append_range(segment.prefix, (segment.start, first))
            narrowed.append(Segment(first, last + 1 - first, prefix))
    return tuple(narrowed)


def order_by_ids(rows: Sequence[EncodedSequence]) -> list[int]:
    """Row numbers sorted by token ids: rows with a common prefix become neighbours."""
    return sorted(range(len(rows)), key=lambda number: rows[number].ids)


def common_prefix_length(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    """Length of the longest common prefix, by bisection over slices."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def count_distinct_tokens(rows: Sequence[EncodedSequence]) -> int:
    """How many tokens the model computes when these rows share their prefixes: the number of nodes of their trie."""
    ordered = [rows[number].ids for number in order_by_ids(rows)]
    return sum(
        len(row) - common_prefix_length(previous, row) for previous, row in zip([(), *ordered], ordered, strict=False)
    )


def _first_indices(path: tuple[IndexRange, ...], count: int) -> tuple[IndexRange, ...]:
    """The first `count` indices of a path."""
    first: list[IndexRange] = []
    for start, end in path:
        if count <= 0:
            break
        first.append((start, min(end, start + count)))
        count -= end - start
    return tuple(first)


def _append_range(ranges: tuple[IndexRange, ...], added: IndexRange) -> tuple[IndexRange, ...]:
    """Append a range, merged with the last one if they touch; an empty range adds nothing."""
    if added[0] == added[1]:
        return ranges
    if ranges and ranges[-1][1] == added[0]:
        return (*ranges[:-1], (ranges[-1][0], added[1]))
    return (*ranges, added)
