"""Runs of words as numbers, by which the text index is made and asked.

An entry is one number: 32 bits of the hash of four words, then the row. Of every three runs in a text the lowest is kept
(winnowing, Schleimer, Wilkerson and Aiken 2003), so a run of six words that a row shares with the question is always met; shorter
messages are met whole. The entries lie in `store/lineage/text/<container>/entries.npy`, sorted.
"""

from pathlib import Path
from typing import Final

import numpy
import numpy.typing as npt

from tunesmith.data.ngrams import Grams
from tunesmith.data.normal import normal
from tunesmith.store.lineage import Known
from tunesmith.store.readable import Readable

GRAM: Final = 4
WINDOW: Final = 3
LEAST: Final = GRAM + WINDOW - 1
"""Words of the shortest run that is always met; a question of fewer words meets messages that are just these words."""

ENTRIES: Final = "entries.npy"
MIX: Final = numpy.uint64(0xD6E8FEB86659FD93)
"""Odd multiplier of the finalizer (Steele, Lea and Flood 2014), so that the high bits depend on all."""

STEP: Final = 0x9E3779B97F4A7C15

Entries = npt.NDArray[numpy.uint64]


def index_folder(container: str, store: Readable) -> Path:
    """Where the index of a data set lies or would lie."""
    return store.folder / "lineage" / "text" / container.removeprefix("sha256:")


def unindexed(store: Readable) -> list[Known]:
    """The data sets of the store that have no index yet."""
    live = [one for one in store.lookups.datasets() if store.objects.has(one.container)]
    return [one for one in live if not (index_folder(one.container, store) / ENTRIES).is_file()]


def normal_words(text: str) -> list[str]:
    """The words of a text in normal form."""
    return normal(text).split()


def lowest(hashes: Entries, grams: Grams) -> npt.NDArray[numpy.bool_]:
    """Which runs are the lowest of a window of WINDOW runs of their text; all runs of a text with fewer."""
    count = len(hashes)
    keep = numpy.zeros(count, dtype=bool)
    if count >= WINDOW:
        whole = numpy.flatnonzero(grams.texts[: count - WINDOW + 1] == grams.texts[WINDOW - 1 :])
        window = numpy.stack([hashes[whole + step] for step in range(WINDOW)])
        keep[whole + window.argmin(axis=0)] = True
    runs = numpy.bincount(grams.texts, minlength=1)
    return keep | (runs[grams.texts] < WINDOW)


def mixed(numbers: Entries, length: int = 0) -> Entries:
    """32 bits of a hash; of whole messages, by their length, other bits than of runs within one."""
    made = numbers + numpy.uint64(length * STEP % (1 << 64))
    made ^= made >> numpy.uint64(32)
    made *= MIX
    made ^= made >> numpy.uint64(32)
    made *= MIX
    return made >> numpy.uint64(32)


def joined(hashes: Entries, rows: Entries) -> Entries:
    """Entries: hash and row in one number."""
    return (hashes << numpy.uint64(32)) | rows
