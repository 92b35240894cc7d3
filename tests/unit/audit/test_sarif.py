"""SARIF: conforms to the standard and the limits of code hosts, stable fingerprints, no row text."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tunesmith import audit
from tunesmith.artifacts import AuditReport
from tunesmith.audit import sarif
from tunesmith.context import Context
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings

SCHEMA = json.loads(Path(__file__).with_name("sarif_2_1_0.json").read_text(encoding="utf-8"))
"""The definitions of OASIS's schema (errata 01) of all objects that are written, by hand: their own keys, types and bounds."""
RIGHTS = {"license": "CC0-1.0", "origin": "written here", "basis": "contract"}
QUESTION = "please tell me how many days I have to send this hat back to you"


def put(context: Context, rows: list[tuple[str, str]], name: str = "train.jsonl") -> None:
    lines = [json.dumps({"prompt": prompt, "completion": completion}) for prompt, completion in rows]
    (context.data_root / name).write_text("".join(f"{line}\n" for line in lines))


def audited(context: Context, **settings: Any) -> AuditReport:
    sources = DataSettings(train=(SourceSettings(path="train.jsonl", **RIGHTS),))
    return audit.run(sources, AuditSettings(**settings), context, task=TaskSettings(type="chat"))


def written(context: Context, *, base: str = "", **settings: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(audit.sarif_bytes(audited(context, **settings), context.store, base=base))
    jsonschema.Draft4Validator(SCHEMA).validate(document)
    return document


def results(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document["runs"][0]["results"]
    return found


def test_the_schema_rejects_what_the_standard_rejects() -> None:
    check = jsonschema.Draft4Validator(SCHEMA)
    bare = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": []}]}
    assert check.is_valid(bare)
    line = {"physicalLocation": {"artifactLocation": {"uri": "a"}, "region": {"startLine": 0}}}
    wrong = [
        {"level": "fatal"},
        {"locations": [line]},
        {"colour": "red"},
        {"message": {}},
        {"partialFingerprints": {"a": 1}},
    ]
    for result in wrong:
        bare["runs"][0]["results"] = [{"message": {"text": "x"}, **result}]
        assert not check.is_valid(bare), result


def test_findings_at_file_and_line_with_the_other_row(context: Context) -> None:
    put(context, [(QUESTION, "14"), ("are you there", ""), (QUESTION, "14")])
    document = written(context, off=["near-duplicate", "outlier"])
    told = [
        (result["ruleId"], result["level"], result["locations"][0]["physicalLocation"]) for result in results(document)
    ]
    assert [(rule, place["artifactLocation"]["uri"], place["region"]["startLine"]) for rule, _, place in told] == [
        ("empty-completion", "train.jsonl", 2),
        ("exact-duplicate", "train.jsonl", 3),
    ]
    (other,) = results(document)[1]["relatedLocations"]
    assert (other["id"], other["physicalLocation"]["region"]["startLine"]) == (1, 1)
    assert results(document)[1]["message"]["text"].endswith("([the other row](1))")
    assert "toolExecutionNotifications" not in document["runs"][0]["invocations"][0]


def test_rules_carry_their_manual_pages(context: Context) -> None:
    put(context, [("are you there", ""), ("a hat", "yes")])
    document = written(context, off=["outlier"])
    driver = document["runs"][0]["tool"]["driver"]
    (rule,) = driver["rules"]
    assert rule["id"] == driver["rules"][results(document)[0]["ruleIndex"]]["id"] == "empty-completion"
    assert "Why it matters: the model would learn to say nothing" in rule["help"]["text"]
    assert "**Why it matters**" in rule["help"]["markdown"]
    assert rule["properties"]["findings"] == 1


def test_no_row_text_is_written(context: Context) -> None:
    put(context, [("I am ann@example.org, you stupid idiot", "hello"), ("a hat", "yes")])
    text = json.dumps(written(context, warn=["personal-data"]))
    assert "personal-data" in text and "toxicity" in text
    assert not [word for word in ("ann@", "you stupid idiot", "hello") if word in text]


def test_a_blocking_finding_is_an_error(context: Context) -> None:
    put(context, [("are you there", "")])
    levels = {result["ruleId"]: result["level"] for result in results(written(context, block=["empty-completion"]))}
    assert levels["empty-completion"] == "error"


def test_a_finding_about_a_whole_file_is_at_line_1(context: Context) -> None:
    put(context, [("a hat", "yes")])
    sources = DataSettings(train=(SourceSettings(path="train.jsonl"),))
    off = tuple(name for name in audit.check_ids() if name != "missing-provenance")
    report = audit.run(sources, AuditSettings(off=off), context, task=TaskSettings(type="chat"))
    (result,) = results(json.loads(audit.sarif_bytes(report, context.store)))
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 1
    assert "rowId" not in result["properties"]


def test_fingerprints_are_stable_when_rows_are_added(context: Context) -> None:
    def marks() -> dict[str, str]:
        return {
            result["ruleId"]: result["partialFingerprints"]["ruleInFile/v1"]
            for result in results(written(context, off=["outlier", "near-duplicate"]))
        }

    put(context, [("are you there", ""), ("a hat", "yes"), ("a hat", "yes")])
    first = marks()
    put(context, [("one more row", "so"), ("are you there", ""), ("a hat", "yes"), ("a hat", "yes")])
    assert marks() == first
    assert len(set(first.values())) == len(first) == 2


def test_findings_have_distinct_fingerprints(context: Context) -> None:
    put(context, [("are you there", ""), ("or there", ""), ("a hat", "yes")])
    marks = [result["partialFingerprints"]["ruleInFile/v1"] for result in results(written(context, off=["outlier"]))]
    assert [mark[-2:] for mark in marks] == [":1", ":2"] and marks[0][:-2] == marks[1][:-2]


def test_too_many_findings_are_cut_with_a_notification(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    put(
        context,
        [(f"are you {word} there", "") for word in "abcdefghij"] + [("my pin: 4711 is ok", "yes"), ("hat", "yes")] * 2,
    )
    report = audited(context, off=["outlier", "near-duplicate"], block=["secrets"])
    assert report.found["empty-completion"] == 10
    whole = json.loads(audit.sarif_bytes(report, context.store))
    monkeypatch.setattr(sarif, "MAX_RESULTS", 4)
    cut = json.loads(audit.sarif_bytes(report, context.store))
    jsonschema.Draft4Validator(SCHEMA).validate(cut)
    assert (len(results(whole)), len(results(cut))) == (sum(report.found.values()), 4)
    rules = [result["ruleId"] for result in results(cut)]
    assert rules.count("secrets") == report.found["secrets"] == 2, "what stops the run stays"
    assert set(rules) == set(report.found), "and one of every rule"
    (notice,) = cut["runs"][0]["invocations"][0]["toolExecutionNotifications"]
    assert notice["message"]["text"].startswith(f"4 of {len(results(whole))} findings are listed")


def test_the_file_stays_below_its_limit(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    put(context, [(f"are you at number {n}", "") for n in range(300)] + [("a hat", "yes")])
    report = audited(context, off=["outlier", "near-duplicate"])
    whole = len(audit.sarif_bytes(report, context.store))
    monkeypatch.setattr(sarif, "MAX_FILE_BYTES", whole // 2)
    data = audit.sarif_bytes(report, context.store)
    assert len(data) <= whole // 2
    assert 50 < len(results(json.loads(data))) < 150


@pytest.mark.parametrize(
    ("file", "base", "uri"),
    [
        ("a.jsonl", "", "a.jsonl"),
        ("a b#1.jsonl", "data sets", "data%20sets/a%20b%231.jsonl"),
        ("./x/a.jsonl", ".", "x/a.jsonl"),
        ("/srv/a.jsonl", "data", "file:///srv/a.jsonl"),
        ("s3://bucket/a.jsonl", "data", "s3://bucket/a.jsonl"),
    ],
)
def test_files_are_relative_to_the_repository_root(file: str, base: str, uri: str) -> None:
    assert sarif._uri(file, base) == uri


def test_brackets_and_braces_of_a_reason_are_escaped(context: Context) -> None:
    line = {"reason": r"ends in '[a](b)' and {0}", "other": None}
    assert sarif._message(line) == r"ends in '\[a\](b)' and {{0}}"
