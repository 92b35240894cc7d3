"""Runs of words as numbers, by which the text index is made and asked.

An entry is one number: 32 bits of the hash of four words, then the row. Of every three runs in a text the lowest is kept
(winnowing, Schleimer, Wilkerson and Aiken 2003), so a run of six words that a row shares with the question is always met; shorter
messages are met whole. The entries lie in `store/lineage/text/<container>/entries.npy`, sorted.
"""

from pathlib import Path
from typing import Final

import numpy
import numpy.typing as npt

from tunesmith.store.lineage import RecordedDataset
from tunesmith.store.read_only import ReadableStore
from tunesmith.text.ngrams import HashedNgrams
from tunesmith.text.normalize import normalize

NGRAM_WORDS: Final = 4
WINDOW_NGRAMS: Final = 3
MIN_SHARED_WORDS: Final = NGRAM_WORDS + WINDOW_NGRAMS - 1
"""Words of the shortest run that is always met; a question of fewer words meets messages that are just these words."""

ENTRIES_FILE: Final = "entries.npy"
MIX_MULTIPLIER: Final = numpy.uint64(0xD6E8FEB86659FD93)
"""Odd multiplier of the finalizer (Steele, Lea and Flood 2014), so that the high bits depend on all."""

LENGTH_STEP: Final = 0x9E3779B97F4A7C15

IndexEntries = npt.NDArray[numpy.uint64]


def index_folder(container: str, store: ReadableStore) -> Path:
    """Where the index of a data set lies or would lie."""
    return store.folder / "lineage" / "text" / container.removeprefix("sha256:")


def datasets_without_index(store: ReadableStore) -> list[RecordedDataset]:
    """The data sets of the store that have no index yet."""
    live = [one for one in store.lookups.datasets() if store.objects.has(one.container)]
    return [one for one in live if not (index_folder(one.container, store) / ENTRIES_FILE).is_file()]


def normal_words(text: str) -> list[str]:
    """The words of a text in normal form."""
    return normalize(text).split()


def lowest_in_window(hashes: IndexEntries, grams: HashedNgrams) -> npt.NDArray[numpy.bool_]:
    """Which runs are the lowest of a window of WINDOW runs of their text; all runs of a text with fewer."""
    count = len(hashes)
    keep = numpy.zeros(count, dtype=bool)
    if count >= WINDOW_NGRAMS:
        whole = numpy.flatnonzero(grams.texts[: count - WINDOW_NGRAMS + 1] == grams.texts[WINDOW_NGRAMS - 1 :])
        window = numpy.stack([hashes[whole + step] for step in range(WINDOW_NGRAMS)])
        keep[whole + window.argmin(axis=0)] = True
    runs = numpy.bincount(grams.texts, minlength=1)
    return keep | (runs[grams.texts] < WINDOW_NGRAMS)


def hash_ngrams(numbers: IndexEntries, length: int = 0) -> IndexEntries:
    """32 bits of a hash; of whole messages, by their length, other bits than of runs within one."""
    made = numbers + numpy.uint64(length * LENGTH_STEP % (1 << 64))
    made ^= made >> numpy.uint64(32)
    made *= MIX_MULTIPLIER
    made ^= made >> numpy.uint64(32)
    made *= MIX_MULTIPLIER
    return made >> numpy.uint64(32)


def pack_entries(hashes: IndexEntries, rows: IndexEntries) -> IndexEntries:
    """Entries: hash and row in one number."""
    return (hashes << numpy.uint64(32)) | rows
