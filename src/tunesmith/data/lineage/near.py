"""Near-duplicates of rows that are to be erased, in every stored data set: MinHash candidates, verified on the words."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from tunesmith import tables
from tunesmith.data.lineage.stored import stored_batches
from tunesmith.data.lineage.text_index import messages_of
from tunesmith.data.normal import normal
from tunesmith.data.similar import Likeness, meeting_across
from tunesmith.store import Store

NONE: Final = (0.0, 1)
"""Near to no text."""


@dataclass(frozen=True)
class Near:
    """A row by its id and position that shares `similarity` of its word triples with one of the texts (its number)."""

    position: int
    row_id: str
    text: int
    similarity: float


def text_of(example: dict[str, object]) -> str:
    """The words of an example without its system messages, which many rows share."""
    return normal("\n".join(text for role, text in messages_of(example) if role != "system"))


def near_rows(container: str, texts: Sequence[str], store: Store, *, threshold: float) -> Iterator[Near]:
    """Rows of a data set whose Jaccard similarity of word triples with a text is at least `threshold`; with the nearest.

    A text of fewer than five words is near to equal ones only. Candidates meet under 32 bands of 4 MinHashes: at
    similarity 0.5 one pair in eight is missed, at 0.7 one in ten thousand.
    """
    asked = _bands([*texts], first=0)
    start = 0
    for batch in stored_batches(container, store):
        found = [text_of(json.loads(example)) for example in batch.column("example").to_pylist()]
        normals = [*texts, *found]
        likeness = Likeness(normals, (), threshold)
        best: dict[int, tuple[float, int]] = {}
        for row, others in meeting_across(_bands(found, first=len(texts)), asked, threshold=threshold):
            nearest = _nearest(row, others, likeness)
            best[row] = max(nearest, best.get(row, nearest))
        for row in sorted(row for row in best if best[row] != NONE):
            similarity, other = best[row]
            place = row - len(texts)
            yield Near(start + place, batch.column("row_id")[place].as_py(), -other, similarity)
        start += batch.num_rows


def _nearest(row: int, others: Sequence[int], likeness: Likeness) -> tuple[float, int]:
    """(similarity, minus the text's number) of the text that a row is nearest to, the first of equal ones; or NONE."""
    found = ((likeness.between(row, other), -other) for other in others)
    return max(((similarity, other) for similarity, other in found if similarity is not None), default=NONE)


def _bands(normals: Sequence[str], *, first: int) -> tables.Bands:
    rows = pa.array(range(first, first + len(normals)), type=pa.int64())
    table = pa.table({"row": rows, "normal": pa.array(normals, type=pa.string())})
    return tables.band_keys(tables.minhash(table, column="normal", row="row"), row="row")
