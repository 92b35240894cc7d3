"""Statements: the structure of their predicate types, and no numbers that a JSON parser could change."""

import json
from typing import Any

from tunesmith.artifacts import Comparison, Insufficient
from tunesmith.release import statements
from tunesmith.trust.statement import statement_bytes

SUBJECTS = statements.StatementSubjects(
    released={"adapter_model.safetensors": "1" * 64, "tokenizer.json": "2" * 64},
    evaluated={"adapter_model.safetensors": "sha256:" + "3" * 64},
    recipe="sha256:" + "4" * 64,
)
RUN = statements.RunReference("sha256:" + "5" * 64, "2026-11-21T07:00:00+00:00")


def no_floats(value: Any) -> bool:
    if isinstance(value, dict):
        return all(no_floats(item) for item in value.values())
    if isinstance(value, list):
        return all(no_floats(item) for item in value)
    return not isinstance(value, float)


def test_spelled() -> None:
    assert statements.numbers_as_strings({"a": (0.1, 2**53, 2**53 + 1, True, None)}) == {
        "a": ["0.1", 2**53, "9007199254740993", True, None]
    }


def test_training_is_slsa_provenance(reports: Any) -> None:
    statement_value = statements.training_statement(
        reports.recipe, reports.audit, reports.train, subjects=SUBJECTS, run=RUN
    )
    assert statement_value["predicateType"] == "https://slsa.dev/provenance/v1"
    assert [subject["name"] for subject in statement_value["subject"]] == [
        "adapter_model.safetensors",
        "tokenizer.json",
    ]
    build, details = statement_value["predicate"]["buildDefinition"], statement_value["predicate"]["runDetails"]
    assert build["buildType"] == "urn:tunesmith:supervised-fine-tuning:v1"
    assert build["externalParameters"] == {"recipe": "recipe.yaml", "release": "support-desk"}
    assert build["internalParameters"]["recipeDigest"] == SUBJECTS.recipe
    assert build["internalParameters"]["epochs"] == "2.0"
    assert [(item["name"], item["digest"]["sha256"][0]) for item in build["resolvedDependencies"]] == [
        ("tunesmith/pebble", "b"),
        ("train", "5"),
        ("recipe.yaml", "4"),
        ("tickets.jsonl", "3"),
    ]
    assert details["metadata"] == {"invocationId": RUN.content_key, "startedOn": RUN.started}
    assert details["builder"]["version"]["tunesmith"] == reports.train.provenance.code


def test_evaluation_is_a_test_result(reports: Any) -> None:
    statement_value = statements.evaluation_statement(reports.evaluation, subjects=SUBJECTS)
    predicate = statement_value["predicate"]
    assert statement_value["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement_value["subject"] == [{"name": "adapter_model.safetensors", "digest": {"sha256": "3" * 64}}]
    assert predicate["result"] == "WARNED"
    assert predicate["warnedTests"] == [
        "exact-match: better than tfidf-characters",
        "chrf: better than base-plain",
    ]
    assert predicate["failedTests"] == [] and len(predicate["passedTests"]) == 6
    assert predicate["systems"][0]["estimates"][0]["value"] == "0.86"


def test_worse_than_the_base_fails_and_worse_than_a_baseline_warns(make: Any) -> None:
    def worse(reference: str) -> Comparison:
        return Comparison(metric="exact-match", reference=reference, difference=make.estimate("exact-match", -0.3, 0.1))

    def result(*items: Comparison) -> str:
        report = make.evaluation_report(comparisons=items)
        return statements.evaluation_statement(report, subjects=SUBJECTS)["predicate"]["result"]

    assert result(worse("base-plain")) == "FAILED"
    assert result(worse("majority")) == "WARNED"
    assert result() == "WARNED"
    nothing = Insufficient(metric="exact-match", reason="no rows")
    assert result(Comparison(metric="exact-match", reference="base-plain", difference=nothing)) == "WARNED"


def test_the_gate_is_a_simple_verification_result(reports: Any, make: Any) -> None:
    statement_value = statements.gate_statement(reports.recipe, reports.gate, subjects=SUBJECTS, run=RUN)
    predicate = statement_value["predicate"]
    assert statement_value["predicateType"] == "https://in-toto.io/attestation/svr/v0.2"
    assert [policy["name"] for policy in predicate["verifier"]["policies"]] == ["recipe.yaml, gate"]
    assert predicate["timeCreated"] == RUN.started
    assert predicate["properties"] == [
        "TUNESMITH_GATE_PASSED",
        "TUNESMITH_EXACT_MATCH_BETTER_THAN_BASE_BY_0.1",
    ]
    failed = statements.gate_statement(reports.recipe, make.gate_report("fail"), subjects=SUBJECTS, run=RUN)
    assert failed["predicate"]["properties"] == []


def test_the_audit_is_counts_and_sources_only(reports: Any) -> None:
    statement_value = statements.audit_statement(reports.audit)
    assert [subject["name"] for subject in statement_value["subject"]] == ["test", "train"]
    assert statement_value["predicate"]["dropped"] == reports.audit.dropped
    assert "findings" not in statement_value["predicate"]


def test_no_row_leaves_and_no_float_does(reports: Any) -> None:
    all_statements = (
        statements.training_statement(reports.recipe, reports.audit, reports.train, subjects=SUBJECTS, run=RUN),
        statements.evaluation_statement(reports.evaluation, subjects=SUBJECTS),
        statements.gate_statement(reports.recipe, reports.gate, subjects=SUBJECTS, run=RUN),
        statements.audit_statement(reports.audit),
    )
    for statement in all_statements:
        text = statement_bytes(statement).decode()
        assert no_floats(json.loads(text))
        assert "MUST NOT LEAVE" not in text and "kettle" not in text
