"""The ledger, with the same tests for SQLite and PostgreSQL."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TypeVar

import pytest
import sqlalchemy

from tunesmith.errors import MachineFailure, Misuse
from tunesmith.store import Ledger
from tunesmith.store.ledger import StageRow

R = TypeVar("R")
ROW = StageRow(stage="audit", run_id="r1", report="sha256:a", report_digest="sha256:d")


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger(url)
    yield opened
    opened.close()


def at_once(count: int, work: Callable[[int], R]) -> list[R]:
    """Run `work` in `count` threads that start at the same time; returns their results."""
    gate = Barrier(count)

    def started(number: int) -> R:
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(started, range(count)))


def test_a_stage_is_found_by_its_content_key_and_by_its_report(ledger: Ledger) -> None:
    assert (ledger.stage("k"), ledger.report_of("sha256:d")) == (None, None)
    ledger.finish_stage("k", row=ROW)
    assert ledger.stage("k") == ROW
    assert ledger.report_of("sha256:d") == "sha256:a"
    again = StageRow(stage="audit", run_id="r2", report="sha256:b", report_digest="sha256:e")
    ledger.finish_stage("k", row=again)
    assert ledger.stage("k") == again
    assert ledger.report_of("sha256:d") is None


def test_a_salt_is_created_once(ledger: Ledger, url: str) -> None:
    salt = ledger.salt("tickets")
    assert len(salt) == 32
    assert ledger.salt("tickets") == salt
    assert ledger.salt("others") != salt
    second = Ledger(url)
    assert second.salt("tickets") == salt
    second.close()


def test_concurrent_runs_get_the_same_new_salt(ledger: Ledger) -> None:
    for round_ in range(5):
        assert len(set(at_once(4, lambda _, name=f"d{round_}": ledger.salt(name)))) == 1  # type: ignore[misc]


def test_concurrent_runs_can_open_a_new_ledger(url: str) -> None:
    for made in at_once(6, lambda _: Ledger(url)):
        assert made.ref("x") is None
        made.close()


def test_concurrent_writes_of_a_ref_leave_one(ledger: Ledger) -> None:
    for _ in range(5):
        at_once(4, lambda number: ledger.set_ref("latest", f"sha256:{number}"))
        assert ledger.ref("latest") in {f"sha256:{number}" for number in range(4)}


def test_a_ref_can_be_moved(ledger: Ledger) -> None:
    assert ledger.ref("desk") is None
    ledger.set_ref("desk", "sha256:1")
    ledger.set_ref("desk", "sha256:2")
    ledger.set_ref("other", "sha256:3")
    assert (ledger.ref("desk"), ledger.ref("other")) == ("sha256:2", "sha256:3")


def test_versions_start_at_one_for_each_name(ledger: Ledger) -> None:
    assert ledger.next_version("desk") == 1
    ledger.record_release("desk", 1, content_key="k1", folder="/r/desk/1", created="2026-01-01")
    ledger.record_release("desk", 2, content_key="k2", folder="/r/desk/2", created="2026-01-02")
    assert (ledger.next_version("desk"), ledger.next_version("bank")) == (3, 1)
    assert ledger.release_of("k1") == (1, "/r/desk/1")
    assert ledger.release_of("k3") is None


def test_a_release_recorded_again_moves_and_a_taken_version_is_refused(ledger: Ledger) -> None:
    ledger.record_release("desk", 1, content_key="k1", folder="/old", created="2026-01-01")
    ledger.record_release("desk", 1, content_key="k1", folder="/new", created="2026-01-01")
    assert ledger.release_of("k1") == (1, "/new")
    with pytest.raises(MachineFailure, match="the ledger cannot be used"):
        ledger.record_release("desk", 1, content_key="k2", folder="/other", created="2026-01-02")
    assert (ledger.release_of("k1"), ledger.release_of("k2")) == ((1, "/new"), None)


def test_a_run_starts_and_finishes(ledger: Ledger, url: str) -> None:
    ledger.start_run("r1", recipe="desk", started="2026-01-01T00:00:00+00:00")
    ledger.finish_run("r1", finished="2026-01-01T00:01:00+00:00", outcome="pass")
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("select run_id, recipe, started, finished, outcome from runs")).all()
    engine.dispose()
    start, end = "2026-01-01T00:00:00+00:00", "2026-01-01T00:01:00+00:00"
    assert [tuple(row) for row in rows] == [("r1", "desk", start, end, "pass")]


def test_a_failed_write_is_rolled_back(ledger: Ledger) -> None:
    ledger.finish_stage("k", row=ROW)
    with pytest.raises(MachineFailure):
        ledger.finish_stage("k", row=StageRow(stage=None, run_id="r2", report="x", report_digest="y"))  # type: ignore[arg-type]
    assert ledger.stage("k") == ROW


def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(MachineFailure, match="the ledger cannot be opened") as caught:
        Ledger(f"postgresql+psycopg://me:geheim@/x?host={tmp_path}")
    assert "geheim" not in str(caught.value)
    assert caught.value.where.startswith("postgresql+psycopg://me:***@/x")
    assert caught.value.hint.startswith("check --database")


def test_a_file_that_is_not_a_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"no database at all, " * 100)
    with pytest.raises(MachineFailure, match="file is not a database") as caught:
        Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert caught.value.where.endswith("ledger.db")


@pytest.mark.parametrize("bad", ["nonsense", "foo://x/y", "postgresql+nodriver://x/y"])
def test_an_invalid_database_url_is_misuse(bad: str) -> None:
    with pytest.raises(Misuse) as caught:
        Ledger(bad)
    assert caught.value.where == "--database"
    assert "postgresql+psycopg://" in caught.value.hint
