"""Conversations: which roles the rows of a corpus have, in which order, and what their messages say."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from tunesmith.artifacts import Role
from tunesmith.audit.corpus import Corpus

Numbers = npt.NDArray[np.int64]

FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no power of it is 0."""

LABELLED: Final[tuple[Role, ...]] = ("user", "assistant")
"""How a text with an answer is put to a model."""


@dataclass(frozen=True)
class Kind:
    """Rows whose messages have the same roles. `rows` are their numbers; `texts`: they are texts and no conversations."""

    roles: tuple[Role, ...]
    rows: Numbers
    texts: bool


def kinds_of(corpus: Corpus) -> list[Kind]:
    """The kinds of a corpus, in order of their first rows."""
    parts = corpus.parts
    if not parts.num_rows:
        return []
    rows = np.asarray(parts.column("row"))
    first = np.flatnonzero(np.diff(rows, prepend=rows[0] - 1))
    codes = parts.column("role").combine_chunks().dictionary_encode()
    numbers = np.asarray(compute.fill_null(codes.indices, -1)).astype(np.int64) + 2
    messages = np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows)))
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.full(int(messages.max()) + 1, FACTOR))
        keys = np.add.reduceat(numbers.astype(np.uint64) * powers[messages], first)
    _, at, which = np.unique(keys, return_index=True, return_inverse=True)
    names = codes.dictionary.to_pylist()
    made = []
    for number in np.argsort(at).tolist():
        start = int(first[at[number]])
        after = start + int(np.searchsorted(rows[start:], rows[start], side="right"))
        found: list[Role] = [names[code - 2] for code in numbers[start:after].tolist() if code > 1]
        texts = len(found) < after - start
        made.append(Kind(LABELLED if texts else tuple(found), rows[first[which == number]], texts))
    return made


def turns_of(corpus: Corpus, row: int) -> list[tuple[Role, str]]:
    """Role and text of every message of a row; a text is asked, and its completion answers."""
    start, after = (int(corpus.signals.first_parts[at]) for at in (row, row + 1))
    parts = corpus.signals.parts.slice(start, after - start)
    roles, texts = parts.column("role").to_pylist(), parts.column("text").to_pylist()
    if None not in roles:
        return list(zip(roles, texts, strict=True))
    completion = corpus.signals.table.column("completion")[row].as_py() or ""
    return [("user", texts[0]), ("assistant", completion)]


def sizes_of(corpus: Corpus) -> tuple[Numbers, Numbers]:
    """(bytes of ASCII, other bytes) of each row by its number, completions of texts too; rows that are not there have 0."""
    total = corpus.signals.table.num_rows
    plain, beyond = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    texts = compute.and_(compute.is_valid(corpus.table.column("completion")), _is_text(corpus))
    labels = corpus.table.filter(texts)
    for column, rows in ((corpus.parts.column("text"), corpus.parts), (labels.column("completion"), labels)):
        size = np.asarray(compute.binary_length(column)).astype(np.int64)
        # A character beyond ASCII has two to four bytes: with d bytes more than characters there are at most 2d of them.
        more = size - np.asarray(compute.utf8_length(column)).astype(np.int64)
        other = np.minimum(size, 2 * more)
        places = np.asarray(rows.column("row"))
        np.add.at(plain, places, size - other)
        np.add.at(beyond, places, other)
    return plain, beyond


def _is_text(corpus: Corpus) -> pa.ChunkedArray:
    """Which lines of the table have a text and no conversation."""
    texts = corpus.parts.filter(compute.is_null(corpus.parts.column("role"))).column("row")
    return compute.is_in(corpus.table.column("row"), value_set=texts.combine_chunks())
