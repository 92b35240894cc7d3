"""Build the text index of a data set, once for each data set (see `text_ngrams`).

A system message is indexed at the first row that has it. The index folder is complete or absent.
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
    """Build the missing indexes; this takes some seconds per 100,000 rows."""
    missing = datasets_without_index(store)
    for dataset in progress.track(missing, label="index the text", total=len(missing)):
        build_index(dataset.container, store)


def build_index(container: str, store: Store) -> Path:
    """The folder of a data set's index, built if it is missing."""
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
    """(role, text) of the messages of a JSON example, with the words of their tool calls; a plain text has the role ""."""
    for turn in example.get("messages", ()):
        text = "".join(part["text"] for part in turn["content"] if part["type"] == "text")
        calls = (f"name {call['name']} arguments {call['arguments']}" for call in turn.get("tool_calls", ()))
        yield turn["role"], "\n".join((text, *calls))
    if example.get("text") is not None:
        yield "", example["text"]


def _index_entries(container: str, store: Store) -> IndexEntries:
    parts: list[IndexEntries] = []
    seen_system_messages: set[str] = set()
    start = 0
    for batch in stored_batches(container, store):
        row_texts = list(_row_texts(batch.column("example").to_pylist(), start, seen_system_messages))
        rows = numpy.array([row for row, _ in row_texts], dtype=numpy.uint64)
        parts.append(_text_entries([text for _, text in row_texts], rows))
        start += batch.num_rows
    entries = numpy.concatenate(parts) if parts else numpy.zeros(0, dtype=numpy.uint64)
    entries.sort()
    return entries


def _row_texts(examples: Sequence[str], start: int, seen_system_messages: set[str]) -> Iterator[tuple[int, str]]:
    """(row, text) of every message except system messages in `seen_system_messages`, to which new ones are added."""
    for row, example in enumerate(examples, start):
        for role, text in example_messages(json.loads(example)):
            if role != "system" or text not in seen_system_messages:
                yield row, text
            if role == "system":
                seen_system_messages.add(text)


def _text_entries(texts: Sequence[str], rows: IndexEntries) -> IndexEntries:
    words = hash_words(pa.array(texts, type=pa.string()))
    ngrams = ngram_hashes(words, NGRAM_WORDS)
    hashes = hash_ngrams(ngrams.numbers)
    parts = [pack_entries(hashes, rows[ngrams.texts])[lowest_in_window(hashes, ngrams)]]
    # Texts shorter than MIN_SHARED_WORDS have too few n-grams for a window, so each is indexed as one n-gram of its length.
    lengths = numpy.diff(words.starts)
    for length in range(1, MIN_SHARED_WORDS):
        short = numpy.flatnonzero(lengths == length)
        if len(short):
            whole = ngram_hashes(hash_words(pa.array([texts[place] for place in short.tolist()])), length)
            parts.append(pack_entries(hash_ngrams(whole.numbers, length), rows[short]))
    entries = numpy.concatenate(parts)
    entries.sort()
    return entries[numpy.append(True, entries[1:] != entries[:-1])] if len(entries) else entries
