"""Rights that run out: the audit knows the day, and a finished audit is made again only when a row's last day has passed."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from tunesmith import pipeline
from tunesmith.errors import RecipeError
from tunesmith.recipe import load_recipe


@dataclass(frozen=True)
class Day:
    """A clock that stands at noon of a day."""

    date: str

    def now(self) -> datetime:
        return datetime.fromisoformat(f"{self.date}T12:00:00").replace(tzinfo=timezone.utc)

    def seconds(self) -> float:
        return 0.0


def write(folder: Path, **audit: Any) -> Path:
    rows = [
        {"prompt": f"what is number {n}?", "completion": f"it is {n}", "expires": day}
        for n, day in enumerate(["2026-03-31", "2026-06-30", "", "2027-01-01"])
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"path": "rows.jsonl", "license": "CC0-1.0", "origin": "made for this test", "basis": "contract"}
    recipe = {
        "name": "numbers",
        "base": "tunesmith/pebble",
        "task": "chat",
        "data": {"train": [source]},
        "audit": {"off": ["near-duplicate"], "drop": ["expired-rights"], **audit},
        "train": {"method": "full", "rows_per_step": 2, "epochs": 1, "learning_rate": 0.003},
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def on(path: Path, day: str) -> pipeline.RunResult:
    context = replace(pipeline.open_context(path), clock=Day(day))
    return pipeline.run(load_recipe(path), context, until="audit")


def test_an_audit_holds_until_the_next_row_expires(tmp_path: Path) -> None:
    path = write(tmp_path)
    first = on(path, "2026-03-31").audit
    assert first is not None and first.train.rows == 4 and first.good_until == "2026-03-31"
    for day, rows, until, reused in (
        ("2026-04-01", 3, "2026-06-30", ()),
        ("2026-06-30", 3, "2026-06-30", ("audit",)),
        ("2026-12-31", 2, "2027-01-01", ()),
        ("2027-01-01", 2, "2027-01-01", ("audit",)),
        ("2030-01-01", 1, None, ()),
        ("2031-01-01", 1, None, ("audit",)),
    ):
        result = on(path, day)
        assert result.audit is not None
        assert (result.audit.train.rows, result.audit.good_until, result.reused) == (rows, until, reused), day


def test_the_day_alone_changes_no_digest(tmp_path: Path) -> None:
    path = write(tmp_path, drop=[])
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    one, other = (
        pipeline.run(
            load_recipe(path), replace(pipeline.open_context(path), clock=Day(day)), until="audit", again=True
        ).audit
        for day in ("2026-01-01", "2027-01-01")
    )
    assert one is not None and other is not None and one.digest() == other.digest()


def test_the_day_is_no_setting(tmp_path: Path) -> None:
    path = write(tmp_path, drop=[{"expired-rights": {"today": "2020-01-01"}}])
    with pytest.raises(RecipeError, match="'today' cannot be set per check") as caught:
        on(path, "2026-01-01")
    assert caught.value.hint == "it comes from the clock"
