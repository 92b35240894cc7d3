"""The index of a data set's word runs, made once for each data set (see `text_runs`).

A system message is indexed at the first row that has it. The folder is whole or absent.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import pyarrow as pa

from tunesmith.lineage.stored_rows import stored_batches
from tunesmith.lineage.text_ngrams import (
    ENTRIES_FILE,
    MIN_SHARED_WORDS,
    NGRAM_WORDS,
    IndexEntries,
    datasets_without_index,
    hash_ngrams,
    index_folder,
    lowest_in_window,
    pack_entries,
)
from tunesmith.ports import Progress
from tunesmith.store import Store
from tunesmith.store.objects import disk_errors
from tunesmith.text.ngrams import hash_words, ngram_hashes


def build_missing_indexes(store: Store, progress: Progress) -> None:
    """Make the indexes that are missing, which takes some seconds per 100,000 rows, once for each data set."""
    missing = datasets_without_index(store)
    for one in progress.track(missing, label="index the text", total=len(missing)):
        build_index(one.container, store)


def build_index(container: str, store: Store) -> Path:
    """The folder of a data set's index, made now if it is not there."""
    folder = index_folder(container, store)
    if (folder / ENTRIES_FILE).is_file():
        return folder
    building = folder.with_name(f".making-{folder.name}")
    with disk_errors(folder):
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        numpy.save(building / ENTRIES_FILE, _index_entries(container, store), allow_pickle=False)
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    return folder


def example_messages(example: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(role, text) of the messages of an example as JSON, with the words of their tool calls; a text has no role."""
    for turn in example.get("messages", ()):
        text = "".join(part["text"] for part in turn["content"] if part["type"] == "text")
        calls = (f"name {call['name']} arguments {call['arguments']}" for call in turn.get("tool_calls", ()))
        yield turn["role"], "\n".join((text, *calls))
    if example.get("text") is not None:
        yield "", example["text"]


def _index_entries(container: str, store: Store) -> IndexEntries:
    parts: list[IndexEntries] = []
    systems: set[str] = set()
    start = 0
    for batch in stored_batches(container, store):
        found = list(_row_texts(batch.column("example").to_pylist(), start, systems))
        rows = numpy.array([row for row, _ in found], dtype=numpy.uint64)
        parts.append(_text_entries([text for _, text in found], rows))
        start += batch.num_rows
    entries = numpy.concatenate(parts) if parts else numpy.zeros(0, dtype=numpy.uint64)
    entries.sort()
    return entries


def _row_texts(examples: Sequence[str], start: int, systems: set[str]) -> Iterator[tuple[int, str]]:
    """(row, text) of every message, of a system message that was met before nothing; `systems` are those met."""
    for row, example in enumerate(examples, start):
        for role, text in example_messages(json.loads(example)):
            if role != "system" or text not in systems:
                yield row, text
            if role == "system":
                systems.add(text)


def _text_entries(texts: Sequence[str], rows: IndexEntries) -> IndexEntries:
    words = hash_words(pa.array(texts, type=pa.string()))
    grams = ngram_hashes(words, NGRAM_WORDS)
    hashes = hash_ngrams(grams.numbers)
    found = [pack_entries(hashes, rows[grams.texts])[lowest_in_window(hashes, grams)]]
    lengths = numpy.diff(words.starts)
    for length in range(1, MIN_SHARED_WORDS):
        short = numpy.flatnonzero(lengths == length)
        if len(short):
            whole = ngram_hashes(hash_words(pa.array([texts[place] for place in short.tolist()])), length)
            found.append(pack_entries(hash_ngrams(whole.numbers, length), rows[short]))
    entries = numpy.concatenate(found)
    entries.sort()
    return entries[numpy.append(True, entries[1:] != entries[:-1])] if len(entries) else entries
