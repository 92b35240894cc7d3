"""The audit stage: actions, order of checks, redaction, quarantine, digests, invalid settings."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith import audit
from tunesmith.artifacts import AuditReport
from tunesmith.context import Context
from tunesmith.data.rows import load_rows
from tunesmith.errors import DataError, Misuse, RecipeError
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings

RIGHTS = {"license": "CC0-1.0", "origin": "written here", "basis": "contract"}
CHAT, CLASSIFY = TaskSettings(type="chat"), TaskSettings(type="classify")


def put(context: Context, name: str, rows: list[dict[str, Any]]) -> None:
    (context.data_root / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def pair(prompt: str, completion: str, **rights: str) -> dict[str, Any]:
    return {"prompt": prompt, "completion": completion, **rights}


def audited(context: Context, *, task: TaskSettings = CHAT, test: bool = False, **settings: Any) -> AuditReport:
    sources = DataSettings(
        train=(SourceSettings(path="train.jsonl", **RIGHTS),),
        test=(SourceSettings(path="test.jsonl", **RIGHTS),) if test else (),
    )
    return audit.run(sources, AuditSettings(**settings), context, task=task)


def found(report: AuditReport) -> list[tuple[int, str, str]]:
    return [(finding.place.line, finding.rule, finding.action) for finding in report.findings]


def quarantine(report: AuditReport, context: Context) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(context.store.objects.get(report.quarantine)).splitlines()]


def test_a_clean_file(context: Context) -> None:
    put(context, "train.jsonl", [pair("where is my hat", "in the post"), pair("and my coat", "here")])
    report = audited(context)
    assert (report.findings, report.dropped, report.redacted, report.warned, report.test) == ((), {}, {}, {}, None)
    assert report.rows_read == report.train.rows == 2
    assert set(report.checks) == set(audit.check_ids())


def test_a_duplicate_of_a_dropped_row_is_kept(context: Context) -> None:
    question = "how many days do I have to send a hat back"
    put(
        context,
        "train.jsonl",
        [pair(question, "14", license="CC-BY-NC-4.0"), pair(question, "14"), pair(question, "14")],
    )
    report = audited(context)
    assert found(report) == [(1, "unlicensed-source", "drop"), (3, "exact-duplicate", "drop")]
    assert report.findings[1].other is not None and report.findings[1].other.line == 2
    assert [row.line for row in load_rows(report.train, context.store)] == [2]


def test_rows_read_are_kept_or_dropped_once(context: Context) -> None:
    put(context, "train.jsonl", [pair("a hat", "", license="GPL-3.0-only"), pair("a coat", "b"), pair("a coat", "b")])
    report = audited(context)
    assert report.dropped == {"empty-completion": 1, "exact-duplicate": 1}
    assert report.rows_read == report.train.rows + sum(report.dropped.values())
    lines = quarantine(report, context)
    assert [(line["line"], line["rule"], line["other"] and line["other"]["line"]) for line in lines] == [
        (1, "empty-completion", None),
        (1, "unlicensed-source", None),
        (3, "exact-duplicate", 2),
    ]
    assert lines[2]["example"]["messages"][0]["content"][0]["text"] == "a coat"


def test_redaction_is_consistent_and_covers_held_out_rows(context: Context) -> None:
    put(
        context,
        "train.jsonl",
        [
            pair("I am ann@example.org, not bob@example.org", "hello ANN@example.org"),
            pair("call me on 5551234567", "ok"),
        ],
    )
    put(context, "test.jsonl", [pair("it is bob@example.org again, password: Tr0ub4dor", "noted")])
    report = audited(context, test=True)
    train, test = load_rows(report.train, context.store), load_rows(report.test, context.store) if report.test else []
    assert [(row.example.prompt_text, row.example.completion) for row in [*train, *test]] == [
        ("I am [email-1], not [email-2]", "hello [email-1]"),
        ("call me on [phone-1]", "ok"),
        ("it is [email-2] again, password: [password-1]", "noted"),
    ]
    assert report.redacted == {"personal-data": 3, "secrets": 1}
    before = audited(context, test=True, warn=["personal-data", "secrets"])
    assert [row.row_id for row in load_rows(before.train, context.store)] == [row.row_id for row in train]


def test_findings_and_quarantine_do_not_repeat_matched_text(context: Context) -> None:
    secret = "mail ann@example.org, password is Tr0ub4dor&3, card 4111 1111 1111 1111"
    put(
        context,
        "train.jsonl",
        [pair(secret, "", license="none of it"), pair(secret + " x", "fine"), pair(secret + " x", "fine")],
    )
    report = audited(context)
    assert len(report.findings) >= 6
    text = report.canonical().decode() + json.dumps(quarantine(report, context))
    assert not [word for word in ("ann@", "Tr0ub4dor", "4111") if word in text]
    warned = audited(context, warn=["personal-data", "secrets"])
    assert not [word for word in ("ann@", "Tr0ub4dor", "4111") if word in warned.canonical().decode()]


def test_exempt_kinds_stay_and_the_report_says_so(context: Context) -> None:
    put(context, "train.jsonl", [pair("I am ann@example.org on 203.0.113.9", "ok")])
    report = audited(context, exempt={"email": "invented"})
    assert load_rows(report.train, context.store)[0].example.prompt_text == "I am ann@example.org on [ip-address-1]"
    assert report.checks["personal-data"] == "id=personal-data|version=1|exempt=('email',)|action=redact"


def test_leaks_drop_the_training_row_and_keep_the_held_out_row(context: Context) -> None:
    question = "please tell me how many days I have to send this hat back to you"
    put(context, "train.jsonl", [pair(question, "14"), pair("another thing entirely", "yes")])
    put(context, "test.jsonl", [pair(question.upper(), "14"), pair(question.upper(), "14")])
    report = audited(context, test=True)
    assert found(report) == [(1, "split-leakage", "drop")]
    assert report.findings[0].other is not None and report.findings[0].other.file == "test.jsonl"
    assert (report.train.rows, report.test and report.test.rows) == (1, 2)


def test_blocking_findings_are_reported_without_raising(context: Context) -> None:
    put(context, "train.jsonl", [pair("a hat", "yes")])
    sources = DataSettings(train=(SourceSettings(path="train.jsonl", license="CC0-1.0"),))
    report = audit.run(sources, AuditSettings(block=("missing-provenance",)), context, task=CHAT)
    (block,) = audit.blocking_findings(report)
    assert (block.place.file, block.place.line, block.reason) == (
        "train.jsonl",
        0,
        "1 of 1 rows have no origin or basis",
    )
    assert report.train.rows == 1


def test_no_training_rows_blocks(context: Context) -> None:
    put(context, "train.jsonl", [pair("a hat", "")])
    assert [finding.rule for finding in audit.blocking_findings(audited(context))] == ["no-training-rows"]


def test_a_label_whose_training_rows_were_all_dropped_is_unknown(context: Context) -> None:
    (context.data_root / "train.jsonl").write_text(
        '{"text": "a hat", "label": "x"}\n{"text": "a coat", "label": "y", "license": "NONE"}\n'
    )
    (context.data_root / "test.jsonl").write_text(
        '{"text": "my shoes", "label": "x"}\n{"text": "my socks", "label": "y"}\n'
    )
    report = audited(context, task=CLASSIFY, test=True)
    (block,) = audit.blocking_findings(report)
    assert (block.place.file, block.place.line, block.reason) == ("test.jsonl", 2, "no training row has the label 'y'")


def test_off_skips_a_check_and_is_in_the_report(context: Context) -> None:
    put(context, "train.jsonl", [pair("a hat", "x"), pair("a hat", "x")])
    report = audited(context, off=["exact-duplicate", "near-duplicate"])
    assert (report.findings, report.checks["exact-duplicate"]) == ((), "off")


def test_stronger_action_wins_and_settings_reach_the_check(context: Context) -> None:
    texts = ["a b c d e f g h i j", "a b c d e f g h i x"]
    put(context, "train.jsonl", [pair(text, text) for text in texts])
    report = audited(context, warn=["near-duplicate"], block=[{"near-duplicate": {"threshold": 0.7}}])
    assert found(report) == [(2, "near-duplicate", "block")]
    assert "threshold=0.7" in report.checks["near-duplicate"]
    assert audited(context, drop=[{"near-duplicate": {"threshold": 0.8}}]).findings == ()


def test_the_report_digest_depends_on_input_and_settings(context: Context) -> None:
    put(
        context,
        "train.jsonl",
        [pair(f"question {n} about ann{n % 7}@example.org", f"answer {n % 3}") for n in range(200)],
    )
    one, two = audited(context), audited(context)
    assert one.digest() == two.digest()
    assert audited(context, off=["hidden-unicode"]).digest() != one.digest()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"drop": ["near-duplicates"]},
            "audit.drop: unknown check 'near-duplicates'\nhint: did you mean 'near-duplicate'?",
        ),
        ({"off": ["secret"]}, "audit.off: unknown check 'secret'\nhint: did you mean 'secrets'?"),
        (
            {"redact": ["exact-duplicate"]},
            "audit.redact: the check 'exact-duplicate' does not support redact\nhint: supported: block, drop, warn",
        ),
        (
            {"drop": ["secrets"], "off": ["secrets"]},
            "audit.drop: the check 'secrets' is also in audit.off\nhint: remove it from one of the two lists",
        ),
        (
            {"drop": [{"near-duplicate": {"treshold": 1}}]},
            "audit: near-duplicate: check 'near-duplicate' has no setting 'treshold'\nhint: did you mean 'threshold'?",
        ),
        (
            {"drop": [{"near-duplicate": {"threshold": 2}}]},
            "audit: near-duplicate: threshold: Input should be less than or equal to 1, got 2",
        ),
        (
            {"warn": [{"secrets": {"exempt": ["pin"]}}]},
            "audit: secrets: 'exempt' cannot be set per check\nhint: it comes from audit.exempt",
        ),
        ({"exempt": {"emial": "x"}}, "audit.exempt: unknown kind 'emial'\nhint: did you mean 'email'?"),
    ],
)
def test_invalid_settings(settings: dict[str, Any], message: str, context: Context) -> None:
    put(context, "train.jsonl", [pair("a hat", "x")])
    with pytest.raises(RecipeError) as caught:
        audited(context, **settings)
    assert str(caught.value) == message


def test_plain_text_is_rejected_for_tasks_with_answers(context: Context) -> None:
    (context.data_root / "train.jsonl").write_text('{"text": "once upon a time"}\n')
    with pytest.raises(
        DataError, match=r"^train\.jsonl: the rows have a text but no completion, which the task 'chat' requires"
    ):
        audited(context)
    assert audited(context, task=TaskSettings(type="text")).train.rows == 1


def test_auditing_files_with_some_checks(context: Context) -> None:
    put(context, "train.jsonl", [pair("a hat", ""), pair("ann@example.org", "x")])
    every = audit.audit_files([Path("train.jsonl")], (), context)
    assert {finding.rule for finding in every.findings} >= {"unlicensed-source", "missing-provenance", "personal-data"}
    one = audit.audit_files([Path("train.jsonl")], ["empty-completion"], context)
    assert found(one) == [(1, "empty-completion", "drop")]
    with pytest.raises(Misuse, match="did you mean 'secrets'"):
        audit.audit_files([Path("train.jsonl")], ["secret"], context)


def test_licences_as_expressions(context: Context) -> None:
    rights = [
        "MIT OR GPL-3.0-only", "MIT AND GPL-3.0-only", "mit", "mit/apache-2.0", "NOASSERTION", "LicenseRef-Acme",
        "Apache-2.0 WITH LLVM-exception", "(MIT", "Apache-2.0 AND (MIT OR CC-BY-NC-4.0)",
    ]  # fmt: skip
    put(context, "train.jsonl", [pair(f"question {n} is this", f"a{n}", license=text) for n, text in enumerate(rights)])
    bad = [rights[finding.place.line - 1] for finding in audited(context).findings]
    assert bad == [
        "MIT AND GPL-3.0-only",
        "mit/apache-2.0",
        "NOASSERTION",
        "LicenseRef-Acme",
        "Apache-2.0 WITH LLVM-exception",
        "(MIT",
    ]
    more = audited(context, allowed_licenses=["LicenseRef-Acme", "Apache-2.0 WITH LLVM-exception"])
    good = set(range(1, 10)) - {finding.place.line for finding in more.findings}
    assert good == {6, 7}
