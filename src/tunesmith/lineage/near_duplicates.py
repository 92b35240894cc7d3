"""Find near-duplicates of the rows to erase in a stored data set: MinHash candidates, verified by Jaccard similarity."""

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
"""(similarity, key) of a row that matches no text."""


@dataclass(frozen=True)
class NearDuplicateRow:
    """A row of a data set whose word trigrams have the Jaccard `similarity` with text number `text` of the query."""

    position: int
    row_id: str
    text: int
    similarity: float


def comparable_text(example: dict[str, object]) -> str:
    """The normalized text of an example without its system messages, which many rows share."""
    return normalize("\n".join(text for role, text in example_messages(example) if role != "system"))


def find_near_duplicate_rows(
    container: str, texts: Sequence[str], store: Store, *, threshold: float
) -> Iterator[NearDuplicateRow]:
    """Yield the rows whose word trigrams have a Jaccard similarity of `threshold` or more with a text.

    Each row comes with its nearest text. A text of fewer than five words matches only equal texts. Candidates share one of 32
    bands of 4 MinHashes: at similarity 0.5 one pair in eight is missed, at 0.7 one in ten thousand.
    """
    query_bands = _minhash_bands([*texts], first=0)
    start = 0
    for batch in stored_batches(container, store):
        row_texts = [comparable_text(json.loads(example)) for example in batch.column("example").to_pylist()]
        similarities = PairSimilarity([*texts, *row_texts], (), threshold)
        best: dict[int, tuple[float, int]] = {}
        bands = _minhash_bands(row_texts, first=len(texts))
        for row, others in candidates_across(bands, query_bands, threshold=threshold):
            nearest = _nearest_text(row, others, similarities)
            best[row] = max(nearest, best.get(row, nearest))
        for row in sorted(row for row in best if best[row] != NO_MATCH):
            similarity, other = best[row]
            place = row - len(texts)
            yield NearDuplicateRow(start + place, batch.column("row_id")[place].as_py(), -other, similarity)
        start += batch.num_rows


def _nearest_text(row: int, others: Sequence[int], similarities: PairSimilarity) -> tuple[float, int]:
    """(similarity, minus the text's number) of the text nearest to a row, among equals the first; NO_MATCH without one."""
    scored = ((similarities.similarity(row, other), -other) for other in others)
    return max(((similarity, other) for similarity, other in scored if similarity is not None), default=NO_MATCH)


def _minhash_bands(normals: Sequence[str], *, first: int) -> tables.MinHashBands:
    rows = pa.array(range(first, first + len(normals)), type=pa.int64())
    table = pa.table({"row": rows, "normal": pa.array(normals, type=pa.string())})
    return tables.band_keys(tables.minhash_signatures(table, column="normal", row="row"), row="row")
