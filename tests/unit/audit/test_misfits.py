"""Rows that could not be read: every one is named, none is passed over, and the audit goes on to say the rest."""

import gzip
import json

import pytest

from tunesmith import audit
from tunesmith.artifacts import AuditReport
from tunesmith.context import Context
from tunesmith.data import misfits
from tunesmith.data.rows import load_rows
from tunesmith.errors import DataError
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings

GOOD = [json.dumps({"prompt": f"question number {n}", "completion": f"answer {n}"}) for n in range(5)]
BAD = ["{oops", '{"prompt": "a", "completion": null}', '{"prompt": "a", "prompt": "b", "completion": "c"}']


def audited(
    context: Context, lines: list[str], *, off: tuple[str, ...] = (), drop: tuple[str, ...] = ()
) -> AuditReport:
    (context.data_root / "a.jsonl").write_text("\n".join(lines) + "\n")
    sources = DataSettings(train=(SourceSettings(path="a.jsonl", license="MIT", origin="here", basis="contract"),))
    others = tuple(name for name in audit.check_ids() if name != "schema")
    return audit.run(sources, AuditSettings(off=(*others, *off), drop=drop), context, task=TaskSettings(type="chat"))


def said(report: AuditReport, rule: str = "schema") -> list[tuple[int, str, str]]:
    return [(one.place.line, one.action, one.reason) for one in report.findings if one.rule == rule]


def test_all_are_named_and_block(context: Context) -> None:
    report = audited(context, [GOOD[0], BAD[0], GOOD[1], BAD[1], BAD[2], GOOD[2]])
    broken = (
        "broken JSON: Expecting property name enclosed in double quotes at column 2 (one whole JSON object per row)"
    )
    assert said(report) == [
        (2, "block", broken),
        (4, "block", "the column 'completion' must hold text, found null (put quotes around the value)"),
        (5, "block", "broken JSON: the key 'prompt' stands twice in one object"),
    ]
    assert report.blocking == {"schema": 3}
    assert len(audit.blocked(report)) == 3
    assert (report.rows_read, report.train.rows, report.dropped) == (6, 3, {"schema": 3})
    assert [(one.path, one.rows, one.format) for one in report.sources] == [("a.jsonl", 3, "prompt-completion")]
    assert [row.line for row in load_rows(report.train, context.store)] == [1, 3, 6]


def test_with_drop_the_audit_goes_on_and_they_stand_in_quarantine(context: Context) -> None:
    report = audited(context, [*GOOD, *BAD], drop=("schema",))
    assert audit.blocked(report) == []
    assert (report.rows_read, report.train.rows, report.dropped) == (8, 5, {"schema": 3})
    lines = [json.loads(line) for line in gzip.decompress(context.store.objects.get(report.quarantine)).splitlines()]
    assert [(line["file"], line["line"], line["rule"], line["example"]) for line in lines] == [
        ("a.jsonl", number, "schema", {}) for number in (6, 7, 8)
    ]
    assert all(line["reason"] for line in lines)


def test_a_file_of_nothing_else(context: Context) -> None:
    report = audited(context, BAD)
    assert [line for line, _, _ in said(report)] == [1, 2, 3]
    assert said(report, "no-training-rows") == []
    assert (report.rows_read, report.train.rows, report.sources[0].format) == (3, 0, "prompt-completion")
    left = audited(context, BAD, drop=("schema",))
    assert said(left, "no-training-rows") == [(0, "block", "no training row is left after the audit")]


def test_with_the_check_off_the_audit_stops_at_the_first(context: Context) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl:2: broken JSON"):
        audited(context, [GOOD[0], *BAD], off=("schema",))


def test_beyond_a_number_they_are_counted(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misfits, "KEPT", 2)
    report = audited(context, [*BAD, *BAD, GOOD[0]])
    assert next((line, reason) for line, _, reason in said(report)) == (
        0,
        "4 more rows do not fit; only the first 2 are listed",
    )
    assert [line for line, _, _ in said(report)] == [0, 1, 2]
    assert (report.rows_read, report.dropped) == (7, {"schema": 6})


def test_personal_data_and_long_values_are_not_repeated(context: Context) -> None:
    strange = {f"ann{n}@example.org": n for n in range(100)}
    report = audited(context, [GOOD[0], json.dumps(strange)])
    (_, _, reason) = said(report)[0]
    assert "@" not in reason and "[email]" in reason and len(reason) == 300


def test_limit_and_skip_count_rows_that_cannot_be_read(context: Context) -> None:
    (context.data_root / "a.jsonl").write_text("\n".join([BAD[0], GOOD[0], BAD[1], GOOD[1], GOOD[2]]))
    sources = DataSettings(train=(SourceSettings(path="a.jsonl", skip=1, limit=2),))
    off = tuple(name for name in audit.check_ids() if name != "schema")
    report = audit.run(sources, AuditSettings(off=off), context, task=TaskSettings(type="chat"))
    assert [line for line, _, _ in said(report)] == [3]
    assert [row.line for row in load_rows(report.train, context.store)] == [2]
