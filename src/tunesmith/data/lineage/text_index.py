"""Which rows hold a run of words: an index of a data set's word runs on disk, made once per data set, asked in milliseconds.

An entry is one number: 32 bits of the hash of four words, then the row. Of every three runs in a row the lowest is kept
(winnowing, Schleimer, Wilkerson and Aiken 2003), so a run of six words that a row shares with the question is always met; shorter
messages are met whole. What is met is read from the store and compared word by word. A system message is indexed at the
first row that has it. `store/lineage/text/<container>/`: `entries.npy`, sorted, memory-mapped; it is whole or absent.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith.artifacts import Example
from tunesmith.artifacts.lineage import TextSpan
from tunesmith.data.lineage.stored import examples_at, stored_batches
from tunesmith.data.ngrams import Grams, grams_of, words_in
from tunesmith.data.normal import normal
from tunesmith.data.wordplaces import word_places
from tunesmith.errors import Misuse
from tunesmith.store import Store
from tunesmith.store.objects import disk_errors

GRAM: Final = 4
WINDOW: Final = 3
LEAST: Final = GRAM + WINDOW - 1
"""Words of the shortest run that is always met; a question of fewer words meets messages that are just these words."""

COMMON: Final = 20_000
"""Rows of one run of words that are looked at; a run that more rows share says little about which row it was."""

CANDIDATES: Final = 100
"""Rows that are read and compared: those that share the most runs with the question."""

ENTRIES: Final = "entries.npy"
MIX: Final = numpy.uint64(0xD6E8FEB86659FD93)
"""Odd multiplier of the finalizer (Steele, Lea and Flood 2014), so that the high bits depend on all."""

STEP: Final = 0x9E3779B97F4A7C15

Entries = npt.NDArray[numpy.uint64]
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class TextHit:
    """A row that shares a run of `words` words with the question, by position; the longest run of each message."""

    position: int
    row_id: str
    words: int
    spans: tuple[TextSpan, ...]


def index_folder(container: str, store: Store) -> Path:
    return store.folder / "lineage" / "text" / container.removeprefix("sha256:")


def build_index(container: str, store: Store) -> Path:
    """The folder of a data set's index, made now if it is not there."""
    folder = index_folder(container, store)
    if (folder / ENTRIES).is_file():
        return folder
    building = folder.with_name(f".making-{folder.name}")
    with disk_errors(folder):
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        numpy.save(building / ENTRIES, _entries(container, store), allow_pickle=False)
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    return folder


def search(container: str, text: str, store: Store) -> tuple[TextHit, ...]:
    """Rows of a data set that share at least LEAST words in a row with the text, or all its words; longest first.

    Raises Misuse when the text has no word.
    """
    words = normal_words(text)
    if not words:
        raise Misuse("the text has no words", where="--text", hint=f"give at least {LEAST} words in a row")
    entries = numpy.load(build_index(container, store) / ENTRIES, mmap_mode="r", allow_pickle=False)
    met = _met(entries, words)
    found = examples_at(container, met, store)
    hits = [_compared(position, *found[position], words=words) for position in met]
    close = [hit for hit in hits if hit.words >= min(LEAST, len(words))]
    return tuple(sorted(close, key=lambda hit: (-hit.words, hit.position)))


def normal_words(text: str) -> list[str]:
    """The words of a text in normal form."""
    return normal(text).split()


def messages_of(example: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(role, text) of the messages of an example as JSON, with the words of their tool calls; a text has no role."""
    for turn in example.get("messages", ()):
        text = "".join(part["text"] for part in turn["content"] if part["type"] == "text")
        calls = (f"name {call['name']} arguments {call['arguments']}" for call in turn.get("tool_calls", ()))
        yield turn["role"], "\n".join((text, *calls))
    if example.get("text") is not None:
        yield "", example["text"]


def _entries(container: str, store: Store) -> Entries:
    parts: list[Entries] = []
    systems: set[str] = set()
    start = 0
    for batch in stored_batches(container, store):
        found = list(_said(batch.column("example").to_pylist(), start, systems))
        rows = numpy.array([row for row, _ in found], dtype=numpy.uint64)
        parts.append(_entries_of([text for _, text in found], rows))
        start += batch.num_rows
    entries = numpy.concatenate(parts) if parts else numpy.zeros(0, dtype=numpy.uint64)
    entries.sort()
    return entries


def _said(examples: Sequence[str], start: int, systems: set[str]) -> Iterator[tuple[int, str]]:
    """(row, text) of every message, of a system message that was met before nothing; `systems` are those met."""
    for row, example in enumerate(examples, start):
        for role, text in messages_of(json.loads(example)):
            if role != "system" or text not in systems:
                yield row, text
            if role == "system":
                systems.add(text)


def _entries_of(texts: Sequence[str], rows: Entries) -> Entries:
    words = words_in(pa.array(texts, type=pa.string()))
    grams = grams_of(words, GRAM)
    hashes = _mixed(grams.numbers)
    found = [_joined(hashes, rows[grams.texts])[_lowest(hashes, grams)]]
    lengths = numpy.diff(words.starts)
    for length in range(1, LEAST):
        short = numpy.flatnonzero(lengths == length)
        if len(short):
            whole = grams_of(words_in(pa.array([texts[place] for place in short.tolist()])), length)
            found.append(_joined(_mixed(whole.numbers, length), rows[short]))
    entries = numpy.concatenate(found)
    entries.sort()
    return entries[numpy.append(True, entries[1:] != entries[:-1])] if len(entries) else entries


def _lowest(hashes: Entries, grams: Grams) -> npt.NDArray[numpy.bool_]:
    """Which runs are the lowest of a window of WINDOW runs of their text; all runs of a text with fewer."""
    count = len(hashes)
    keep = numpy.zeros(count, dtype=bool)
    if count >= WINDOW:
        whole = numpy.flatnonzero(grams.texts[: count - WINDOW + 1] == grams.texts[WINDOW - 1 :])
        window = numpy.stack([hashes[whole + step] for step in range(WINDOW)])
        keep[whole + window.argmin(axis=0)] = True
    runs = numpy.bincount(grams.texts, minlength=1)
    return keep | (runs[grams.texts] < WINDOW)


def _mixed(numbers: Entries, length: int = 0) -> Entries:
    """32 bits of a hash; of whole messages, by their length, other bits than of runs within one."""
    mixed = numbers + numpy.uint64(length * STEP % (1 << 64))
    mixed ^= mixed >> numpy.uint64(32)
    mixed *= MIX
    mixed ^= mixed >> numpy.uint64(32)
    mixed *= MIX
    return mixed >> numpy.uint64(32)


def _joined(hashes: Entries, rows: Entries) -> Entries:
    return (hashes << numpy.uint64(32)) | rows


def _met(entries: Entries, words: Sequence[str]) -> list[int]:
    """Positions of the rows that share the most runs with the words, at most CANDIDATES, lowest position first among equals."""
    asked = words_in(pa.array([" ".join(words)]))
    grams = grams_of(asked, GRAM)
    hashes = _mixed(grams.numbers)
    # A run that is shared has whole windows, and both sides keep the lowest of each: what the question drops says nothing.
    hashes = numpy.unique(hashes[_lowest(hashes, grams)])
    if len(words) < LEAST:
        hashes = numpy.append(hashes, _mixed(grams_of(asked, len(words)).numbers, len(words)))
    starts = numpy.searchsorted(entries, hashes << numpy.uint64(32), "left")
    ends = numpy.searchsorted(entries, (hashes << numpy.uint64(32)) | numpy.uint64(0xFFFFFFFF), "right")
    met = [numpy.asarray(entries[start : min(end, start + COMMON)]) for start, end in zip(starts, ends, strict=True)]
    rows, counts = numpy.unique(numpy.concatenate(met) & numpy.uint64(0xFFFFFFFF), return_counts=True)
    order = numpy.lexsort((rows, -counts))[:CANDIDATES]
    return [int(row) for row in rows[order]]


def _compared(position: int, row_id: str, example: Example, *, words: Sequence[str]) -> TextHit:
    texts = [turn.said for turn in example.messages] or [example.text or ""]
    spans = [span for number, text in enumerate(texts) if (span := longest_run(text, words, message=number))]
    least = min(LEAST, len(words))
    kept = tuple(span for span in spans if span.words >= least)
    return TextHit(position, row_id, max((span.words for span in kept), default=0), kept)


def longest_run(text: str, words: Sequence[str], *, message: int = 0) -> TextSpan | None:
    """The longest run of words that a text shares with others, as characters of the text; the first of equal ones."""
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    asked = numpy.array([numbers[word] for word in words])
    spoken, places = normal_words(text), word_places(text)
    best, last = 0, -1
    run = numpy.zeros(len(asked) + 1, dtype=numpy.int64)
    for place, word in enumerate(spoken):
        equal = asked == numbers.get(word, -1)
        run[1:] = numpy.where(equal, run[:-1] + 1, 0)
        if (longest := int(run.max())) > best:
            best, last = longest, place
    if best == 0:
        return None
    return TextSpan(message=message, start=places[last - best + 1][0], end=places[last][1], words=best)
