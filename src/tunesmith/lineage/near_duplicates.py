"""Near-duplicates of rows that are to be erased, in every stored data set: MinHash candidates, verified on the words."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from tunesmith import tables
from tunesmith.lineage.stored_rows import stored_batches
from tunesmith.lineage.text_index import example_messages
from tunesmith.store import Store
from tunesmith.text.near_duplicates import PairSimilarity, candidates_across
from tunesmith.text.normalize import normalize

NO_MATCH: Final = (0.0, 1)
"""Near to no text."""


@dataclass(frozen=True)
class NearDuplicateRow:
    """A row by its id and position that shares `similarity` of its word triples with one of the texts (its number)."""

    position: int
    row_id: str
    text: int
    similarity: float


def comparable_text(example: dict[str, object]) -> str:
    """The words of an example without its system messages, which many rows share."""
    return normalize("\n".join(text for role, text in example_messages(example) if role != "system"))


def find_near_duplicate_rows(
    container: str, texts: Sequence[str], store: Store, *, threshold: float
) -> Iterator[NearDuplicateRow]:
    """Rows of a data set whose Jaccard similarity of word triples with a text is at least `threshold`; with the nearest.

    A text of fewer than five words is near to equal ones only. Candidates meet under 32 bands of 4 MinHashes: at
    similarity 0.5 one pair in eight is missed, at 0.7 one in ten thousand.
    """
    asked = _minhash_bands([*texts], first=0)
    start = 0
    for batch in stored_batches(container, store):
        found = [comparable_text(json.loads(example)) for example in batch.column("example").to_pylist()]
        normals = [*texts, *found]
        likeness = PairSimilarity(normals, (), threshold)
        best: dict[int, tuple[float, int]] = {}
        for row, others in candidates_across(_minhash_bands(found, first=len(texts)), asked, threshold=threshold):
            nearest = _nearest_text(row, others, likeness)
            best[row] = max(nearest, best.get(row, nearest))
        for row in sorted(row for row in best if best[row] != NO_MATCH):
            similarity, other = best[row]
            place = row - len(texts)
            yield NearDuplicateRow(start + place, batch.column("row_id")[place].as_py(), -other, similarity)
        start += batch.num_rows


def _nearest_text(row: int, others: Sequence[int], likeness: PairSimilarity) -> tuple[float, int]:
    """(similarity, minus the text's number) of the text that a row is nearest to, the first of equal ones; or NONE."""
    found = ((likeness.similarity(row, other), -other) for other in others)
    return max(((similarity, other) for similarity, other in found if similarity is not None), default=NO_MATCH)


def _minhash_bands(normals: Sequence[str], *, first: int) -> tables.MinHashBands:
    rows = pa.array(range(first, first + len(normals)), type=pa.int64())
    table = pa.table({"row": rows, "normal": pa.array(normals, type=pa.string())})
    return tables.band_keys(tables.minhash_signatures(table, column="normal", row="row"), row="row")
