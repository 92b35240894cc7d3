"""SourceSummary: what is counted and what is listed; the bytes of a summary from before a key was there."""

from datetime import date
from typing import Any

from tunesmith.artifacts import SourceSummary

DIGEST = "sha256:" + "3" * 64
FULL: dict[str, Any] = {
    "bytes": 120,
    "columns": {"messages": "turns"},
    "source": "tickets",
    "author": "Shop & Sons",
    "collected": "2026-03-31",
    "generator": "writer-2",
    "subject": "customer",
    "stated": {"license": {"": 1, "MIT": 949}},
}


def source(**changes: Any) -> SourceSummary:
    values: dict[str, Any] = {"path": "tickets.jsonl", "format": "messages", "rows": 950, "sha256": DIGEST}
    rights = {"license": "CC-BY-4.0", "origin": "the shop's help desk", "basis": "contract", "split": "train"}
    return SourceSummary(**(values | rights | changes))


def test_many_values_are_counted_and_few_are_listed() -> None:
    days = {date.fromordinal(730_000 + n).isoformat(): 2 if 100 <= n < 150 else 1 for n in range(400)}
    ids = {f"LicenseRef-{n}": 1 for n in range(80)}
    listed = SourceSummary.listed({"collected": days, "license": ids}, author=None)
    assert len(listed["collected"]) == 50 + 3 and listed["collected"][""] == 400 + 50 - 100 - 2
    assert min(days) in listed["collected"] and max(days) in listed["collected"]
    assert len(listed["license"]) == 80 and "" not in listed["license"]
    assert SourceSummary.listed({"purpose": {}}, author=None) == {"purpose": {}}


def test_an_unused_key_is_not_written() -> None:
    """A summary that states nothing new has the digest of one from before the keys were there."""
    assert source().canonical() == (
        b'{"basis":"contract","format":"messages","license":"CC-BY-4.0","origin":"the shop\'s help desk",'
        b'"path":"tickets.jsonl","rows":950,"sha256":"' + DIGEST.encode() + b'","split":"train"}'
    )
    assert SourceSummary.from_bytes(source(**FULL).canonical()) == source(**FULL)
