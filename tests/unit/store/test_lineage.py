"""Lineage in the ledger: the same answers from SQLite and from PostgreSQL, against a plain dictionary as the truth."""

from collections.abc import Iterator

import numpy
import pytest

from tunesmith.errors import MachineFailure
from tunesmith.store import Ledger
from tunesmith.store.lineage import ConsumedRows, DatasetRows, RecordedRow, Training
from tunesmith.store.lineage.blocks import BLOCK_KEYS
from tunesmith.store.lineage.erasures import DatasetReplacement, Erasure, LedgerSwitch, Tombstone

ROWS = 2 * BLOCK_KEYS + 100
NAMES = {"file": ("", "a.jsonl", "b.jsonl"), "source": ("", "shop", "forum"), "generator": ("", "desk/1")}


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger(url)
    yield opened
    opened.close()


def mark_of(person: int) -> bytes:
    """16 bytes with inner and trailing zeros, which must be preserved."""
    return bytes([person + 1, 0]) * 8


def rows_made(count: int, *, seed: int = 1, people: int = 7) -> DatasetRows:
    """Random ids; a third of the rows are about one of `people`, so that a person's rows fill more than one block."""
    random = numpy.random.default_rng(seed)
    marks = numpy.array([mark_of(number) for number in range(people)], dtype="S16")
    whose = random.integers(0, 3 * people, count)
    subjects = numpy.where(whose < people, marks[whose % people], b"")
    return DatasetRows(
        positions=numpy.arange(count, dtype=numpy.uint32),
        ids=random.integers(0, 2**64, count, dtype=numpy.uint64),
        files=random.integers(1, 3, count).astype(numpy.uint32),
        lines=numpy.arange(1, count + 1, dtype=numpy.uint32),
        sources=random.integers(1, 3, count).astype(numpy.uint32),
        generators=(numpy.arange(count) % 10 == 0).astype(numpy.uint32),
        subjects=subjects.astype("S16"),
        names=NAMES,
    )


def consumed_made(count: int) -> ConsumedRows:
    """Every even position in one span, every sixth also in a second one."""
    even = numpy.arange(0, count, 2, dtype=numpy.uint32)
    sixth = numpy.arange(0, count, 6, dtype=numpy.uint32)
    positions = numpy.concatenate([even, sixth])
    first = numpy.concatenate([numpy.zeros_like(even), numpy.full_like(sixth, 128)])
    ones = numpy.ones_like(positions)
    return ConsumedRows(positions, first, ones * 128, ones * 9, ones * 2, ones * 3, positions + 3)


def training(letter: str, base: str = "sha256:base") -> Training:
    return Training(f"sha256:r{letter}", "run", f"sha256:{letter}", base, "base", 10, 100, 1.5)


def seen(rows: DatasetRows, dataset: int, position: int) -> RecordedRow:
    file = NAMES["file"][rows.files[position]]
    return RecordedRow(dataset, position, f"{int(rows.ids[position]):016x}", file, position + 1)


def test_rows_are_found_by_id_by_person_and_by_position(ledger: Ledger) -> None:
    rows = rows_made(ROWS)
    lineage = ledger.lineage
    number = lineage.record_dataset("sha256:c", rows, name="train", rows_digest="sha256:d")
    for position in (0, 1, BLOCK_KEYS - 1, BLOCK_KEYS, ROWS - 1):
        expected = seen(rows, number, position)
        assert ledger.lookups.rows_with_ids([expected.row_id]) == [expected]
        assert ledger.lookups.rows_at(number, [position]) == [expected]
    for person in range(7):
        mark = mark_of(person)
        expected_positions = [place for place in range(ROWS) if rows.subjects[place].ljust(16, b"\0") == mark]
        persons_rows = ledger.lookups.rows_with_subject(mark.hex())
        assert [one.position for one in persons_rows] == expected_positions
        assert persons_rows[0] == seen(rows, number, expected_positions[0])
    assert ledger.lookups.rows_with_subject("ff" * 16) == []
    assert ledger.lookups.rows_with_ids(["0" * 16]) == []


def test_many_ids_at_once_give_the_same_rows_as_single_queries(ledger: Ledger) -> None:
    rows = rows_made(ROWS)
    number = ledger.lineage.record_dataset("sha256:c", rows, name="train", rows_digest="sha256:d")
    positions = list(range(0, ROWS, 17))
    recorded = ledger.lookups.rows_with_ids([f"{int(rows.ids[place]):016x}" for place in positions])
    assert recorded == [seen(rows, number, place) for place in positions]


def test_recorded_rows_are_read_back_and_recording_is_idempotent(ledger: Ledger) -> None:
    rows = rows_made(ROWS)
    first = ledger.lineage.record_dataset("sha256:c", rows, name="train", rows_digest="sha256:d")
    assert ledger.lineage.record_dataset("sha256:c", rows, name="train", rows_digest="sha256:d") == first
    back = ledger.lookups.dataset_rows(first)
    for name in ("positions", "ids", "files", "lines", "sources", "generators", "subjects"):
        assert numpy.array_equal(getattr(back, name), getattr(rows, name)), name
    assert back.names == NAMES
    assert [(one.container, one.name, one.rows, one.erased_by) for one in ledger.lookups.datasets()] == [
        ("sha256:c", "train", ROWS, None)
    ]
    counts = ledger.lookups.origin_counts("source", "shop")
    assert counts == {"dataset": {first: int((rows.sources == 1).sum())}, "training": {}}
    assert ledger.lookups.origin_names("generator") == ["desk/1"]


def test_consumed_spans_of_a_training_are_read_back(ledger: Ledger) -> None:
    rows = rows_made(ROWS)
    dataset = ledger.lineage.record_dataset("sha256:c", rows, name="train", rows_digest="sha256:d")
    consumed = consumed_made(ROWS)
    for _ in range(2):
        number = ledger.lineage.record_training(
            training("m"), dataset=dataset, consumed=consumed, origins={("source", "shop"): 5}
        )
    other = ledger.lineage.record_training(training("n"), dataset=dataset, consumed=None, origins={})
    last = 6 * (ROWS // 6) - 6
    assert ledger.lookups.consumed_spans(number, [0, 1, 2, last]) == {
        0: [(0, 128, 9, 2, 3, 3), (128, 128, 9, 2, 3, 3)],
        2: [(0, 128, 9, 2, 3, 5)],
        last: [(0, 128, 9, 2, 3, last + 3), (128, 128, 9, 2, 3, last + 3)],
    }
    trainings = [(one.number, one.model, one.recorded, one.recipe) for one in ledger.lookups.trainings([dataset])]
    assert trainings == [(number, "sha256:m", True, None), (other, "sha256:n", False, None)]
    assert ledger.lookups.trainings([dataset + 1]) == []
    assert ledger.lookups.origin_counts("source", "shop")["training"] == {number: 5}


def test_children_copies_and_releases_of_models(ledger: Ledger) -> None:
    lineage = ledger.lineage
    dataset = lineage.record_dataset("sha256:c", rows_made(3), name="train", rows_digest="sha256:d")
    lineage.record_training(training("m"), dataset=dataset, consumed=None, origins={})
    lineage.record_merge("sha256:x", ["sha256:m", "sha256:n"])
    lineage.record_weights("sha256:m", ["sha256:w1", "sha256:w2"])
    lineage.record_weights("sha256:copy", ["sha256:w2"])
    for _ in range(2):
        lineage.record_release("desk", 1, model="sha256:m")
    assert ledger.lookups.children("sha256:base") == [("sha256:m", "base")]
    assert ledger.lookups.children("sha256:m") == [("sha256:copy", "same"), ("sha256:x", "merged")]
    assert ledger.lookups.children("sha256:x") == []
    assert ledger.lookups.releases("sha256:m") == ledger.lookups.releases() == [("desk", 1, "sha256:m")]


def erasure(state: str = "begun") -> Erasure:
    return Erasure("e1", state, "2026-01-01", "asked", b"key", b"rows", None)


def test_switch_deletes_rows_salts_and_stages_together(ledger: Ledger) -> None:
    rows = rows_made(ROWS)
    lineage, erasures = ledger.lineage, ledger.erasures
    old = lineage.record_dataset("sha256:c", rows, name="train", rows_digest="sha256:d")
    number = lineage.record_training(training("m"), dataset=old, consumed=consumed_made(ROWS), origins={})
    ledger.set_ref("desk/audit", "sha256:report")
    salt = ledger.salt("train")
    erasures.begin(erasure(), [b"mark", b"mark", b"other"])
    assert erasures.unfinished() == erasure()
    stone = Tombstone("sha256:c", "data set", "e1", "2026-01-01", "asked")
    switch = LedgerSwitch(
        datasets=(DatasetReplacement(old, "train", (0, BLOCK_KEYS), "sha256:new", "sha256:e"),),
        reports={"sha256:report": "sha256:report2"},
        tombstones=(stone,),
        salts=("train",),
    )
    erasures.switch("e1", switch, plan=b"record", new_ids=lambda ids: ids ^ numpy.uint64(1))
    old_dataset, new_dataset = ledger.lookups.datasets()
    assert (old_dataset.erased_by, new_dataset.erased_by, new_dataset.rows) == ("e1", None, ROWS - 2)
    third = f"{int(rows.ids[2]) ^ 1:016x}"
    assert [(one.dataset, one.position) for one in ledger.lookups.rows_with_ids([third])] == [
        (old, 2),
        (new_dataset.number, 1),
    ]
    for erased in (0, BLOCK_KEYS):
        assert (
            ledger.lookups.rows_with_ids([f"{int(rows.ids[erased]):016x}", f"{int(rows.ids[erased]) ^ 1:016x}"]) == []
        )
    assert list(ledger.lookups.consumed_spans(number, [0, 2, BLOCK_KEYS, BLOCK_KEYS + 2])) == [2, BLOCK_KEYS + 2]
    assert ledger.ref("desk/audit") == "sha256:report2"
    assert ledger.salt("train") != salt
    assert erasures.marks() == frozenset({b"mark", b"other"})
    assert (erasures.tombstone("sha256:c"), erasures.tombstones("e1")) == (stone, [stone])
    entry = erasures.unfinished()
    assert entry is not None and (entry.state, entry.plan, entry.rekey) == ("switched", b"record", None)
    erasures.finish("e1", "sha256:envelope")
    assert erasures.unfinished() is None
    done = erasures.find("e1")
    assert done is not None and (done.plan, done.record) == (None, "sha256:envelope")


def test_a_failed_switch_is_rolled_back(ledger: Ledger) -> None:
    rows = rows_made(50)
    old = ledger.lineage.record_dataset("sha256:c", rows, name="train", rows_digest="sha256:d")
    ledger.erasures.begin(erasure(), [])
    bad = Tombstone("sha256:c", None, "e1", "2026-01-01", "asked")  # type: ignore[arg-type]
    switch = LedgerSwitch(
        datasets=(DatasetReplacement(old, "train", (0,), "sha256:new", "sha256:e"),), tombstones=(bad,)
    )
    with pytest.raises(MachineFailure):
        ledger.erasures.switch("e1", switch, plan=b"", new_ids=lambda ids: ids ^ numpy.uint64(1))
    assert ledger.lookups.rows_with_ids([f"{int(rows.ids[0]):016x}"]) == [seen(rows, old, 0)]
    assert len(ledger.lookups.datasets()) == 1
    assert ledger.erasures.unfinished() == erasure()
