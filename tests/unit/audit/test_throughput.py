"""Progress reports rows per second while reading and over all checks."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TypeVar

import pytest

from tunesmith.audit.read_splits import SplitReader
from tunesmith.audit.throughput import track_batches, track_steps
from tunesmith.context import Context
from tunesmith.data import rows
from tunesmith.data.containers import stream
from tunesmith.lineage.tombstones import load_tombstones
from tunesmith.ports import MeasuredItems
from tunesmith.recipe import DataSettings, SourceSettings

T = TypeVar("T")


@dataclass
class Ticking:
    """A clock that goes on by one second whenever it is asked."""

    second: float = -1.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=timezone.utc)

    def seconds(self) -> float:
        self.second += 1
        return self.second


@dataclass
class Told:
    """Progress that remembers what it was told."""

    tracked: list[tuple[str, int | None]] = field(default_factory=list)
    notes: list[dict[str, float]] = field(default_factory=list)
    shares: list[float | None] = field(default_factory=list)

    def track(self, items: Iterable[T], *, label: str, total: int | None = None) -> Iterator[T]:
        self.tracked.append((label, total))
        for item in items:
            yield item
            self.shares.append(items.share() if isinstance(items, MeasuredItems) else None)

    def note(self, numbers: Mapping[str, float]) -> None:
        self.notes.append(dict(numbers))

    def say(self, line: str) -> None:
        raise AssertionError(line)


def test_rows_are_counted_while_reading(context: Context) -> None:
    told = Told()
    batches = [["a", "b", "c"], ["d"]]
    assert list(track_batches(batches, replace(context, progress=told, clock=Ticking()), label="read")) == batches
    assert told.tracked == [("read", None)]
    assert told.notes == [{"rows": 3, "rows/s": 3}, {"rows": 4, "rows/s": 2}]
    assert told.shares == [None, None]


def test_the_share_read_is_reported(context: Context) -> None:
    told, shares = Told(), iter([0.25, 1.0])
    here = replace(context, progress=told, clock=Ticking())
    list(track_batches([["a", "b", "c"], ["d"]], here, label="read", share=lambda: next(shares)))
    assert told.shares == [0.25, 1.0]


def test_an_audit_reports_the_share_of_bytes_read(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six rows of forty bytes in one file and two in another, read forty bytes at a time, in batches of four of one file."""
    monkeypatch.setattr(rows, "BATCH_ROWS", 4)
    monkeypatch.setattr(stream, "CHUNK_BYTES", 40)
    for name, numbers in (("a.jsonl", range(6)), ("b.jsonl", range(6, 8))):
        lines = [f'{{"prompt": "say: {n}", "completion": "{n}"}}\n' for n in numbers]
        assert {len(line) for line in lines} == {40}
        (context.data_root / name).write_text("".join(lines))
    told = Told()
    specs = tuple(SourceSettings(path=name) for name in ("a.jsonl", "b.jsonl"))
    here = replace(context, progress=told, clock=Ticking())
    here.store.folder.mkdir(parents=True, exist_ok=True)
    SplitReader(here.store.folder, here, None, load_tombstones(here.store, dict)).read(DataSettings(train=specs))
    assert told.tracked == [("read train", None), ("read test", None)]
    # a row is known to be the last of its batch when the next one is read
    assert told.shares == [5 / 8, 7 / 8, 1.0]
    assert [note["rows"] for note in told.notes] == [4, 6, 8]


def test_throughput_counts_rows_over_all_checks(context: Context) -> None:
    told = Told()
    steps = track_steps(["x", "y"], replace(context, progress=told, clock=Ticking()), label="audit", rows=100)
    assert list(steps) == ["x", "y"]
    assert told.tracked == [("audit", 2)]
    assert told.notes == [{"rows/s": 50}, {"rows/s": 50}]


def test_no_steps_report_nothing(context: Context) -> None:
    assert list(track_steps([], context, label="audit", rows=0)) == []
