"""The text index compared with a plain search: every run of six words that a row shares with the query is found."""

from pathlib import Path
from typing import Any

import numpy
import pyarrow as pa
import pytest

from tunesmith.artifacts import Example, Row, message
from tunesmith.data.rows import store_dataset
from tunesmith.errors import Misuse
from tunesmith.lineage.text_index import build_index
from tunesmith.lineage.text_ngrams import MIN_SHARED_WORDS, index_folder, normal_words
from tunesmith.lineage.text_search import longest_shared_run, number_words, search_text
from tunesmith.store import Store, open_store
from tunesmith.text.ngrams import hash_words

WORDS = [f"w{number}" for number in range(40)]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    made = open_store(tmp_path / "store")
    yield made
    made.ledger.close()


def kept(store: Store, texts: list[tuple[str, ...]], system: str | None = None) -> str:
    """The container of rows with these messages."""
    first = () if system is None else (message("system", system),)
    rows = [
        Row(
            row_id=f"{number:016x}",
            file="a.jsonl",
            line=number + 1,
            example=Example(
                messages=(
                    *first,
                    *(message("user" if at % 2 == 0 else "assistant", text) for at, text in enumerate(turns)),
                )
            ),
        )
        for number, turns in enumerate(texts)
    ]
    container = store_dataset("train", rows, store).container
    build_index(container, store)
    return container


def longest_in_common(text: list[str], words: list[str]) -> int:
    """The reference: a plain search."""
    return max(
        (
            length
            for start in range(len(text))
            for at in range(len(words))
            for length in [_equal(text[start:], words[at:])]
        ),
        default=0,
    )


def _equal(one: list[str], other: list[str]) -> int:
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return count


def test_every_shared_run_is_found(store: Store) -> None:
    random = numpy.random.default_rng(5)
    rows = [tuple(" ".join(random.choice(WORDS, random.integers(1, 30))) for _ in range(2)) for _ in range(60)]
    container = kept(store, rows)
    met = 0
    for _ in range(150):
        row = rows[random.integers(len(rows))][random.integers(2)].split()
        start = random.integers(len(row))
        taken = row[start : start + random.integers(1, 20)]
        words = [*random.choice(WORDS, random.integers(0, 4)), *taken, *random.choice(WORDS, random.integers(0, 4))]
        least = min(MIN_SHARED_WORDS, len(words))
        runs = {
            number: max(longest_in_common(text.split(), words) for text in turns) for number, turns in enumerate(rows)
        }
        if len(words) >= MIN_SHARED_WORDS:
            expected = {number: run for number, run in runs.items() if run >= least}
            assert {hit.position: hit.words for hit in search_text(container, " ".join(words), store)} == expected
            met += len(expected)
    assert met > 20


def test_a_short_query_finds_messages_that_equal_it(store: Store) -> None:
    container = kept(
        store, [("Thank you!", "You are welcome."), ("Thank you so much for all", "ok"), ("ok", "thank you")]
    )
    assert [hit.position for hit in search_text(container, "thank YOU", store)] == [0, 2]
    with pytest.raises(Misuse, match="no words"):
        search_text(container, " -- ", store)


def test_spans_mark_the_characters(store: Store) -> None:
    text = "Well -- the   blue Kettle, that I bought,\nwhistles (very) loudly."
    container = kept(store, [(text, "ok")])
    [hit] = search_text(container, "blue kettle that i bought whistles very", store)
    [span] = hit.spans
    assert text[span.start : span.end] == "blue Kettle, that I bought,\nwhistles (very"
    assert (span.words, span.message) == (7, 0)


def test_a_system_message_is_found_at_its_first_row(store: Store) -> None:
    system = "you are the friendly clerk of a small shop"
    container = kept(store, [("hello", "good day"), ("what now", "no idea")], system=system)
    assert [hit.position for hit in search_text(container, system, store)] == [0]


def test_the_index_is_built_once_and_is_complete(store: Store) -> None:
    container = kept(store, [("one two three four five six", "seven")])
    folder = build_index(container, store)
    made = (folder / "entries.npy").stat().st_mtime_ns
    killed = index_folder(container, store).with_name(f".making-{folder.name}")
    killed.mkdir()
    assert build_index(container, store) == folder and (folder / "entries.npy").stat().st_mtime_ns == made
    (folder / "entries.npy").unlink()
    build_index(container, store)
    assert (folder / "entries.npy").is_file() and not killed.exists()


def test_among_equal_runs_the_first_is_returned() -> None:
    span = longest_shared_run("a b c x a b c", normal_words("a b c"))
    assert span is not None and (span.start, span.end, span.words) == (0, 5, 3)
    assert longest_shared_run("nothing here", ["a"]) is None


def test_words_of_a_query_hash_like_those_of_a_column() -> None:
    text = "The naïve Größe of 3 km² -- “quoted”, 東京, don't"
    asked, column = number_words(normal_words(text)), hash_words(pa.array([text]))
    assert asked.numbers.tolist() == column.numbers.tolist() and asked.starts.tolist() == column.starts.tolist()
