"""Reading skips erased rows, matched by content, position or data subject, and stores nothing of them."""

import json

from tunesmith.artifacts import Example, digest_of, message
from tunesmith.audit.read_splits import SplitReader
from tunesmith.context import Context
from tunesmith.data.rows import read_batches
from tunesmith.data.subjects import SUBJECT_SALT, subject_pseudonym
from tunesmith.lineage.tombstones import (
    CONTENT_REASON,
    PERSON_REASON,
    PLACE_REASON,
    Tombstones,
    content_mark,
    person_mark,
    place_mark,
)
from tunesmith.recipe import DataSettings, SourceSettings

KEY = b"k" * 32
PEOPLE = ("ann", "bo", "cy", "di", "ed")


def test_erased_rows_are_skipped_and_recorded(context: Context) -> None:
    rows = [{"prompt": f"hello {who}", "completion": "yo", "who": who} for who in PEOPLE]
    (context.data_root / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    first = Example(messages=(message("user", "hello ann"), message("assistant", "yo")))
    marks = {
        content_mark(KEY, digest_of(first.canonical())),
        place_mark(KEY, "sha256:00", 3),
        person_mark(KEY, subject_pseudonym(context.store.ledger.salt(SUBJECT_SALT), "Ed")),
    }
    erased = Tombstones(KEY, frozenset(marks), {"a.jsonl": "sha256:00"})
    spec = SourceSettings(path="a.jsonl", subject="who")
    context.store.folder.mkdir(parents=True, exist_ok=True)
    taken = SplitReader(context.store.folder, context, None, erased).read(DataSettings(train=(spec,)))
    assert erased.matches == [
        ("a.jsonl", 1, CONTENT_REASON),
        ("a.jsonl", 3, PLACE_REASON),
        ("a.jsonl", 5, PERSON_REASON),
    ]
    (batch,) = read_batches(taken.train.container)
    table = taken.builder.build().rows
    assert batch.column("line").to_pylist() == table.column("line").to_pylist() == [2, 4]
    assert (taken.train.rows, table.column("prompt").to_pylist()) == (2, ["hello bo", "hello di"])


def test_a_file_of_erased_rows_only_gives_no_rows(context: Context) -> None:
    (context.data_root / "a.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    erased = Tombstones(KEY, frozenset({place_mark(KEY, "sha256:00", 1)}), {"a.jsonl": "sha256:00"})
    context.store.folder.mkdir(parents=True, exist_ok=True)
    taken = SplitReader(context.store.folder, context, None, erased).read(
        DataSettings(train=(SourceSettings(path="a.jsonl"),))
    )
    assert (taken.train.rows, taken.builder.row_count, len(erased.matches)) == (0, 0, 1)
