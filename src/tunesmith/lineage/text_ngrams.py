"""Hashed word n-grams: the entries of the text index.

An entry is one 64-bit number: 32 bits of the hash of four words, then the row number. Of every three consecutive n-grams the one
with the lowest hash is indexed (winnowing; Schleimer, Wilkerson and Aiken 2003), so a run of six words that a row shares with the
query is always found; shorter messages are indexed whole. Sorted entries are stored in
`store/lineage/text/<container>/entries.npy`.
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
"""Words of the shortest shared run that is always found; a shorter query finds messages that consist of exactly its words."""

ENTRIES_FILE: Final = "entries.npy"
MIX_MULTIPLIER: Final = numpy.uint64(0xD6E8FEB86659FD93)
"""Odd multiplier of the finalizer (Steele, Lea and Flood 2014), after which the high bits depend on all bits."""

LENGTH_STEP: Final = 0x9E3779B97F4A7C15

IndexEntries = npt.NDArray[numpy.uint64]


def index_folder(container: str, store: ReadableStore) -> Path:
    """The folder of a data set's index, whether or not it exists."""
    return store.folder / "lineage" / "text" / container.removeprefix("sha256:")


def datasets_without_index(store: ReadableStore) -> list[RecordedDataset]:
    """The stored data sets without an index."""
    stored = [dataset for dataset in store.lookups.datasets() if store.objects.has(dataset.container)]
    return [dataset for dataset in stored if not (index_folder(dataset.container, store) / ENTRIES_FILE).is_file()]


def normal_words(text: str) -> list[str]:
    """The words of a text in normal form."""
    return normalize(text).split()


def lowest_in_window(hashes: IndexEntries, ngrams: HashedNgrams) -> npt.NDArray[numpy.bool_]:
    """Mask of the n-grams with the lowest hash of a window of WINDOW_NGRAMS in their text; all n-grams of a shorter text."""
    count = len(hashes)
    keep = numpy.zeros(count, dtype=bool)
    if count >= WINDOW_NGRAMS:
        # Starts of the windows that lie within one text.
        starts = numpy.flatnonzero(ngrams.texts[: count - WINDOW_NGRAMS + 1] == ngrams.texts[WINDOW_NGRAMS - 1 :])
        windows = numpy.stack([hashes[starts + step] for step in range(WINDOW_NGRAMS)])  # (WINDOW_NGRAMS, windows)
        keep[starts + windows.argmin(axis=0)] = True
    ngrams_per_text = numpy.bincount(ngrams.texts, minlength=1)
    return keep | (ngrams_per_text[ngrams.texts] < WINDOW_NGRAMS)


def hash_ngrams(numbers: IndexEntries, length: int = 0) -> IndexEntries:
    """32-bit hashes of n-grams; with `length`, those of whole messages of so many words, which differ from n-grams within one."""
    mixed = numbers + numpy.uint64(length * LENGTH_STEP % (1 << 64))
    mixed ^= mixed >> numpy.uint64(32)
    mixed *= MIX_MULTIPLIER
    mixed ^= mixed >> numpy.uint64(32)
    mixed *= MIX_MULTIPLIER
    return mixed >> numpy.uint64(32)


def pack_entries(hashes: IndexEntries, rows: IndexEntries) -> IndexEntries:
    """Index entries: the hash in the high 32 bits, the row in the low 32 bits."""
    return (hashes << numpy.uint64(32)) | rows
