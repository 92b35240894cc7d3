"""Rights of a file's rows: counted by value where rows differ from their source, and stated once where they do not."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tunesmith.artifacts import Rights, SourceSummary
from tunesmith.data import rights_counts
from tunesmith.data.rights_counts import RightsCounts, source_summary
from tunesmith.recipe import SourceSettings


def counted(*rights: dict[str, Any]) -> RightsCounts:
    found = RightsCounts()
    for one in rights:
        found.add(Rights(**one))
    return found


def of(folder: Path, found: RightsCounts, **spec: Any) -> SourceSummary:
    (folder / "rows.jsonl").write_bytes(b"{}\n" * 4)
    read = {"path": "rows.jsonl", "format": "messages", "sha256": "sha256:" + "1" * 64, "split": "train"}
    source = SourceSettings(path="rows.jsonl", **spec)
    return source_summary(source, found, at=folder / "rows.jsonl", **read)


def test_values_of_the_source_are_not_counted_per_row(tmp_path: Path) -> None:
    own = {"license": "MIT", "collected": "2026-03-31", "author": "Ann", "source": "tickets"}
    made = of(tmp_path, counted(*[own] * 3), **{**own, "collected": date(2026, 3, 31)})
    assert made.stated == {} and (made.rows, made.bytes) == (3, 12)
    assert (made.license, made.collected, made.author, made.source) == ("MIT", "2026-03-31", "Ann", "tickets")


def test_rows_with_their_own_values_are_counted(tmp_path: Path) -> None:
    rows = [{"license": "MIT", "author": "Ann"}, {"license": "MIT", "author": "Zelda"}, {"license": "CC0-1.0"}, {}]
    made = of(tmp_path, counted(*rows), license="MIT", author="Ann")
    assert made.stated == {"license": {"MIT": 2, "CC0-1.0": 1}, "author": {"Ann": 1, "": 1}}


def test_subjects_are_only_counted(tmp_path: Path) -> None:
    rows = [{"subject": "a" * 32}, {"subject": "b" * 32}, {"subject": "a" * 32}, {}]
    made = of(tmp_path, counted(*rows), subject="customer")
    assert made.stated == {"subject": {"": 3}} and made.subject == "customer"


def test_all_rows_are_counted_beyond_both_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """With more distinct rights and values than the limits, every row is still counted."""
    monkeypatch.setattr(rights_counts, "MAX_PENDING_RIGHTS", 7)
    monkeypatch.setattr(rights_counts, "MAX_DISTINCT_VALUES", 20)
    found = counted(*[{"origin": f"https://example.test/{n % 50}", "license": "MIT"} for n in range(200)])
    counts = found.counts()
    assert counts["license"] == {"MIT": 200} and found.rows == 200
    assert len(counts["origin"]) == 21 and sum(counts["origin"].values()) == 200 and counts["origin"][""] == 120
    assert found.counts() == counts
