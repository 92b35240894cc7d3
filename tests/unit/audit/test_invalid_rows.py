"""Rows that could not be read: every one is named, none is passed over, and the audit goes on to say the rest."""

import gzip
import json
from dataclasses import dataclass, field, replace

import pytest

from tunesmith import audit
from tunesmith.artifacts import AuditReport
from tunesmith.context import Context, SilentProgress
from tunesmith.data import invalid_rows
from tunesmith.data.rows import load_rows
from tunesmith.data.sources import fingerprint
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


def test_all_invalid_rows_are_listed_and_block(context: Context) -> None:
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
    assert len(audit.blocking_findings(report)) == 3
    assert (report.rows_read, report.train.rows, report.dropped) == (6, 3, {"schema": 3})
    assert [(one.path, one.rows, one.format) for one in report.sources] == [("a.jsonl", 3, "prompt-completion")]
    assert [row.line for row in load_rows(report.train, context.store)] == [1, 3, 6]


def test_drop_continues_and_quarantines_invalid_rows(context: Context) -> None:
    report = audited(context, [*GOOD, *BAD], drop=("schema",))
    assert audit.blocking_findings(report) == []
    assert (report.rows_read, report.train.rows, report.dropped) == (8, 5, {"schema": 3})
    lines = [json.loads(line) for line in gzip.decompress(context.store.objects.get(report.quarantine)).splitlines()]
    assert [(line["file"], line["line"], line["rule"], line["example"]) for line in lines] == [
        ("a.jsonl", number, "schema", {}) for number in (6, 7, 8)
    ]
    assert all(line["reason"] for line in lines)


def test_a_file_of_invalid_rows_only(context: Context) -> None:
    report = audited(context, BAD)
    assert [line for line, _, _ in said(report)] == [1, 2, 3]
    assert said(report, "no-training-rows") == []
    assert (report.rows_read, report.train.rows, report.sources[0].format) == (3, 0, "prompt-completion")
    left = audited(context, BAD, drop=("schema",))
    assert said(left, "no-training-rows") == [(0, "block", "no training row is left after the audit")]


def test_with_the_check_off_the_audit_stops_at_the_first(context: Context) -> None:
    with pytest.raises(DataError, match=r"a\.jsonl:2: broken JSON"):
        audited(context, [GOOD[0], *BAD], off=("schema",))


def test_rows_beyond_the_limit_are_counted(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invalid_rows, "MAX_KEPT_ROWS", 2)
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


def audited_files(context: Context, *names: str, off: tuple[str, ...] = ()) -> AuditReport:
    """An audit by the check `schema` alone of files that are there already; the last is held out."""
    others = tuple(name for name in audit.check_ids() if name != "schema")
    specs = tuple(SourceSettings(path=name, license="MIT") for name in names)
    sources = DataSettings(train=specs[:-1], test=specs[-1:])
    return audit.run(sources, AuditSettings(off=(*others, *off)), context, task=TaskSettings(type="chat"))


def put(context: Context, name: str, lines: list[str], *, cut: int = 0) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    packed = gzip.compress(data, mtime=0) if name.endswith(".gz") else data
    (context.data_root / name).write_bytes(packed[: len(packed) - cut])


def test_every_broken_file_is_listed_with_the_invalid_rows_found(context: Context) -> None:
    """The files after a fault are read too, the held-out ones as well."""
    put(context, "a.jsonl", [GOOD[0], BAD[0], GOOD[1]])
    put(context, "b.jsonl.gz", [GOOD[2], BAD[1], "{}" * 9999], cut=9)
    put(context, "d.jsonl", [BAD[2], GOOD[3]])
    (context.data_root / "e.jsonl").write_bytes(GOOD[4].encode() + b"\n{caf\xe9}\n")
    with pytest.raises(DataError) as caught:
        audited_files(context, "a.jsonl", "b.jsonl.gz", "gone.jsonl", "d.jsonl", "e.jsonl")
    assert caught.value.what.splitlines() == [
        "3 files cannot be read",
        "  b.jsonl.gz: the gzip data is broken: Compressed file ended before the end-of-stream marker was reached"
        " (copy or download the file again)",
        "  gone.jsonl: no such file (paths are relative to the recipe, or to --data-root)",
        "  e.jsonl:2: not UTF-8 at byte 5 of the line (save the file as UTF-8)",
        "and 2 rows are invalid:",
        "  a.jsonl:2: broken JSON: Expecting property name enclosed in double quotes at column 2"
        " (one whole JSON object per row)",
        "  d.jsonl:1: broken JSON: the key 'prompt' stands twice in one object",
    ]
    assert caught.value.where == "b.jsonl.gz"
    assert caught.value.hint == "fix these files, or remove them from `data:` in the recipe; nothing was audited"
    assert caught.value.exit_code == 2


@dataclass
class Said(SilentProgress):
    """Progress that remembers what was said."""

    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_the_first_error_is_reported_while_reading(context: Context) -> None:
    for name, line in (("a.jsonl", GOOD[0]), ("b.jsonl", GOOD[1]), ("c.jsonl", GOOD[2])):
        put(context, name, [line])
    said = Said()
    with pytest.raises(DataError, match="2 files cannot be read"):
        audited_files(replace(context, progress=said), "gone.jsonl", "a.jsonl", "lost.jsonl", "b.jsonl", "c.jsonl")
    assert said.lines == ["gone.jsonl: no such file; the remaining files are only checked for further errors"]


def test_invalid_rows_before_the_error_of_their_file_are_listed(context: Context) -> None:
    put(context, "a.jsonl", [GOOD[0]])
    (context.data_root / "b.jsonl").write_bytes("\n".join([*BAD, GOOD[1], ""]).encode() * 5 + b"caf\xe9\n")
    with pytest.raises(DataError) as caught:
        audited_files(context, "b.jsonl", "a.jsonl")
    lines = caught.value.what.splitlines()
    assert lines[:2] == ["not UTF-8 at byte 4 of the line", "and 15 rows are invalid:"]
    assert [line.split(": ")[0].strip() for line in lines[2:12]] == [
        f"b.jsonl:{n}" for n in (1, 2, 3, 5, 6, 7, 9, 10, 11, 13)
    ]
    assert lines[12:] == ["  and 5 more"]
    assert (caught.value.where, caught.value.hint) == ("b.jsonl:21", "save the file as UTF-8")


def test_a_single_error_keeps_its_message(context: Context) -> None:
    put(context, "a.jsonl", [GOOD[0]])
    put(context, "b.jsonl", [])
    with pytest.raises(DataError) as caught:
        audited_files(context, "a.jsonl", "b.jsonl")
    assert str(caught.value) == "b.jsonl: the file has no rows\nhint: add rows, or remove the file from `data:`"


def test_of_many_broken_files_the_first_are_listed(context: Context) -> None:
    names = [f"{n:02}.jsonl" for n in range(13)]
    with pytest.raises(DataError) as caught:
        audited_files(context, *names)
    lines = caught.value.what.splitlines()
    assert lines[0] == "13 files cannot be read" and lines[-1] == "  and 3 more"
    assert [line.split(":")[0].strip() for line in lines[1:-1]] == names[:10]


def test_with_the_check_off_the_first_invalid_row_is_an_error_of_its_file(context: Context) -> None:
    put(context, "a.jsonl", [GOOD[0], *BAD])
    put(context, "b.jsonl", [BAD[2], GOOD[1]])
    with pytest.raises(DataError) as caught:
        audited_files(context, "a.jsonl", "b.jsonl", off=("schema",))
    assert [line.split(": ")[0] for line in caught.value.what.splitlines()] == [
        "2 files cannot be read",
        "  a.jsonl:2",
        "  b.jsonl:1",
    ]


def test_row_text_in_errors_is_masked(context: Context) -> None:
    put(context, "a.jsonl", [GOOD[0], json.dumps({"ann@example.org": 1})])
    with pytest.raises(DataError) as caught:
        audited_files(context, "a.jsonl", "gone.jsonl")
    assert "[email]" in caught.value.what and "ann@" not in caught.value.what


def test_missing_columns_are_one_error_not_one_per_row(context: Context) -> None:
    put(context, "a.jsonl", [GOOD[0], GOOD[1]])
    put(context, "b.jsonl", [GOOD[2], BAD[0]])
    specs = (SourceSettings(path="a.jsonl", columns={"prompt": "question"}), SourceSettings(path="b.jsonl"))
    with pytest.raises(DataError) as caught:
        audit.run(DataSettings(train=specs), AuditSettings(), context, task=TaskSettings(type="chat"))
    lines = caught.value.what.splitlines()
    assert lines[0].startswith("there is no column 'question'") and caught.value.where == "a.jsonl:1"
    assert [line.split(": ")[0] for line in lines[1:]] == ["and 1 row is invalid:", "  b.jsonl:2"]


def test_plain_text_for_a_task_with_answers_is_listed_with_the_invalid_rows(context: Context) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        put(context, name, [json.dumps({"text": name}), BAD[0]])
    with pytest.raises(DataError) as caught:
        audited_files(context, "a.jsonl", "b.jsonl")
    lines = caught.value.what.splitlines()
    assert lines[0] == "2 files cannot be read" and "requires" in lines[1] and lines[3] == "and 2 rows are invalid:"


def test_a_missing_file_does_not_hide_another_in_the_fingerprint(context: Context) -> None:
    sources = DataSettings(train=(SourceSettings(path="a.jsonl"),), test=(SourceSettings(path="b-*.jsonl"),))
    with pytest.raises(DataError) as caught:
        fingerprint(sources, context)
    hint = "(paths are relative to the recipe, or to --data-root)"
    assert caught.value.what.splitlines() == [
        "2 files cannot be read",
        f"  a.jsonl: no such file {hint}",
        f"  b-*.jsonl: no file matches {hint}",
    ]


def test_skipped_row_numbers_are_reported_once(context: Context) -> None:
    (context.data_root / "a.csv").write_text(",prompt,completion\n0,hi,yo\n1,how are you,fine\n")
    put(context, "b.jsonl", [GOOD[0]])
    report = audited_files(context, "a.csv", "b.jsonl")
    assert [(one.rule, one.severity, one.action, one.place.file, one.reason) for one in report.findings] == [
        (
            "left-out-column",
            "info",
            "warn",
            "a.csv",
            "the first column has no name and holds nothing but the row numbers from 0; it was left out",
        )
    ]
    assert [row.line for row in load_rows(report.train, context.store)] == [2, 3]
