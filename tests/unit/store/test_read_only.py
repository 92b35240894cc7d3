"""Read-only access to a store gives the same answers as the open store, and writes nothing."""

import sqlite3
from pathlib import Path

import numpy
import pytest

from tunesmith.errors import MachineFailure
from tunesmith.store import Store
from tunesmith.store.lineage import DatasetRows, Training
from tunesmith.store.queries import in_condition
from tunesmith.store.read_only import LEDGER_FILE, LOOKUP_TABLES, open_read_only
from tunesmith.store.schema import METADATA

MARK = bytes(range(16))


def filled(store: Store) -> int:
    """The number of a data set of three rows, one of a person; a training on it and a release."""
    rows = DatasetRows(
        positions=numpy.arange(3, dtype=numpy.uint32),
        ids=numpy.array([7, 2**63 + 5, 9], dtype=numpy.uint64),
        files=numpy.array([1, 1, 1], dtype=numpy.uint32),
        lines=numpy.array([1, 2, 3], dtype=numpy.uint32),
        sources=numpy.array([1, 1, 0], dtype=numpy.uint32),
        generators=numpy.zeros(3, dtype=numpy.uint32),
        subjects=numpy.array([b"", MARK, b""], dtype="S16"),
        names={"file": ("", "a.jsonl"), "source": ("", "shop"), "generator": ("",)},
    )
    lineage = store.ledger.lineage
    number = lineage.record_dataset("sha256:c", rows, name="train", rows_digest="sha256:d")
    training = Training("sha256:r", "run", "sha256:m", "sha256:b", "base", 10, 100, None)
    lineage.record_training(training, dataset=number, consumed=None, origins={("source", "shop"): 2})
    lineage.record_release("desk", 1, model="sha256:m")
    store.ledger.start_run("run", recipe="desk", started="2026-01-01T00:00:00Z")
    return number


def test_read_only_look_ups_equal_those_of_the_open_ledger(store: Store) -> None:
    number, salt = filled(store), store.ledger.salt("train")
    read = open_read_only(store.folder)
    assert read is not None and read.lookups.salt("train") == salt and read.lookups.salt("other") is None
    opened, file = store.lookups, read.lookups
    assert [row.position for row in file.rows_with_subject(MARK.hex())] == [1]
    for ask in (
        lambda lookups: lookups.datasets(),
        lambda lookups: lookups.rows_with_ids(["8000000000000005", "0" * 16]),
        lambda lookups: lookups.rows_with_subject(MARK.hex()),
        lambda lookups: lookups.rows_at(number, [0, 2, 5]),
        lambda lookups: lookups.origin_counts("source", "shop"),
        lambda lookups: lookups.origin_names("source"),
        lambda lookups: lookups.trainings([number]),
        lambda lookups: lookups.trainings([]),
        lambda lookups: lookups.training("sha256:r"),
        lambda lookups: lookups.children("sha256:b"),
        lambda lookups: lookups.releases(),
    ):
        assert ask(file) == ask(opened)
    assert file.trainings()[0].recorded is False and file.trainings()[0].recipe == "desk"


def test_reading_creates_nothing(store: Store, tmp_path: Path) -> None:
    filled(store)
    before = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")}
    read = open_read_only(store.folder)
    assert read is not None and read.lookups.datasets()
    assert {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")} == before
    assert open_read_only(tmp_path / "nothing") is None and not (tmp_path / "nothing").exists()


def test_a_ledger_without_a_table_is_not_opened_read_only(tmp_path: Path) -> None:
    assert set(METADATA.tables) >= LOOKUP_TABLES
    ledger = sqlite3.connect(tmp_path / LEDGER_FILE)
    for name in sorted(LOOKUP_TABLES)[1:]:
        ledger.execute(f"CREATE TABLE {name} (x)")
    ledger.commit()
    ledger.close()
    assert open_read_only(tmp_path) is None


def test_a_file_that_is_not_a_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).write_bytes(b"not a database, but long enough to be read as a header of one" * 40)
    with pytest.raises(MachineFailure, match="the ledger cannot be used: file is not a database") as error:
        open_read_only(tmp_path)
    assert error.value.where == str(tmp_path / LEDGER_FILE)


def test_the_transaction_of_a_killed_run_is_rolled_back(store: Store, tmp_path: Path) -> None:
    filled(store)
    store.ledger.close()
    writer = sqlite3.connect(store.folder / LEDGER_FILE)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("DELETE FROM lineage_postings")
    writer.execute("DELETE FROM lineage_datasets")
    writer.execute("INSERT INTO salts SELECT hex(randomblob(8)), zeroblob(4000) FROM json_each('[1,2,3,4,5,6,7,8]')")
    copy = tmp_path / "killed"
    copy.mkdir()
    for path in store.folder.glob("ledger.db*"):
        (copy / path.name).write_bytes(path.read_bytes())
    writer.rollback()
    writer.close()
    assert (copy / f"{LEDGER_FILE}-journal").is_file()
    read = open_read_only(copy)
    assert read is not None and len(read.lookups.datasets()) == 1


def test_in_condition_without_values_is_false() -> None:
    assert in_condition("owner", []) == ("1 = 0", {})
    assert in_condition("owner", [3, 1, 3]) == ("owner IN (:owner0, :owner1)", {"owner0": 1, "owner1": 3})
