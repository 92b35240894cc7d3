"""Evidence of a release as in-toto statements: training, evaluation, gate, audit.

training    SLSA provenance v1 (slsa.dev/spec/v1.1/build-provenance). Build type `urn:tunesmith:supervised-fine-tuning:v1`: run
            `tunesmith train` on the recipe (externalParameters.recipe, a file of the release) with the base and the data files
            in resolvedDependencies. Written by the training machine itself, so it claims at most SLSA level 1.
evaluation  in-toto test-result v0.1. Each test compares the tuned model with another system on one metric.
gate        in-toto simple verification result (SVR) v0.2.
audit       `urn:tunesmith:audit-summary:v1`: counts by rule, sources with their rights; no rows, no excerpts.

Floats, and integers beyond 2^53, are written as strings, because JSON parsers differ in both.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.artifacts import (
    AuditReport,
    EvaluationReport,
    GateReport,
    ModelRef,
    TrainReport,
    canonical_bytes,
    digest_of,
)
from tunesmith.recipe import Recipe
from tunesmith.release.gate import BASE_SYSTEMS
from tunesmith.release.result_lines import comparison_reading
from tunesmith.trust import Statement, make_statement

PROVENANCE_TYPE: Final = "https://slsa.dev/provenance/v1"
TEST_RESULT_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"
SVR_TYPE: Final = "https://in-toto.io/attestation/svr/v0.2"
AUDIT_TYPE: Final = "urn:tunesmith:audit-summary:v1"
BUILD_TYPE: Final = "urn:tunesmith:supervised-fine-tuning:v1"
BUILDER: Final = "urn:tunesmith:builder:local"
VERIFIER: Final = "urn:tunesmith:gate:v1"

MAX_SAFE_INTEGER: Final = 2**53


@dataclass(frozen=True)
class StatementSubjects:
    """Subjects of the statements, {path: SHA-256 hex}. The two differ when weights were rounded after the evaluation."""

    released: Mapping[str, str]
    evaluated: Mapping[str, str]
    recipe: str
    """`sha256:<64 hex>` of recipe.yaml."""


@dataclass(frozen=True)
class RunReference:
    """Content key and time (RFC 3339) of the run."""

    content_key: str
    started: str


def training_statement(
    recipe: Recipe, audit: AuditReport, train: TrainReport, *, subjects: StatementSubjects, run: RunReference
) -> Statement:
    """SLSA provenance of the released files."""
    sources = [source for source in audit.sources if source.split == "train"]
    dependencies = [
        {
            "name": train.base.name,
            "digest": _sha256(train.base.tree),
            "annotations": {"kind": "base model, tree", **_base_origin(train.base)},
        },
        {"name": audit.train.name, "digest": _sha256(audit.train.rows_digest), "annotations": {"kind": "clean rows"}},
        {"name": "recipe.yaml", "digest": _sha256(subjects.recipe)},
        *({"name": source.path, "digest": _sha256(source.sha256)} for source in sources),
    ]
    byproducts = [
        {"name": "row consumption by step", "digest": _sha256(train.consumption)},
        {"name": "training report", "digest": _sha256(train.digest())},
    ]
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"recipe": "recipe.yaml", "release": recipe.name},
            "internalParameters": {
                "recipeDigest": subjects.recipe,
                "code": train.provenance.code,
                "seed": train.provenance.seed,
                "method": train.method,
                "objective": train.objective,
                "steps": train.steps,
                "epochs": train.epochs,
                "rows": train.rows,
                "tokens": train.tokens,
                "threads": train.threads,
                "precision": recipe.release.precision,
            },
            "resolvedDependencies": dependencies,
        },
        "runDetails": {
            "builder": {"id": BUILDER, "version": {"tunesmith": train.provenance.code, **train.provenance.versions}},
            "metadata": {"invocationId": run.content_key, "startedOn": run.started},
            "byproducts": byproducts,
        },
    }
    return make_statement(subjects.released, predicate_type=PROVENANCE_TYPE, predicate=numbers_as_strings(predicate))


def _base_origin(base: ModelRef) -> dict[str, str]:
    """Known facts about the origin of the base."""
    if base.origin is None:
        return {}
    facts = {
        "source": base.origin.source,
        "license": base.origin.license,
        "licenseStatedBy": base.origin.license_source,
        "conversion": base.origin.conversion,
    }
    return {name: value for name, value in facts.items() if value}


def evaluation_statement(report: EvaluationReport, *, subjects: StatementSubjects) -> Statement:
    """Test results of the evaluated files. Worse than a base is a failure; worse than a baseline, or unclear, is a warning."""
    passed: list[str] = []
    warned: list[str] = []
    failed: list[str] = []
    for item in report.comparisons:
        outcome = comparison_reading(item)
        worse = failed if item.reference in BASE_SYSTEMS else warned
        {"better": passed, "worse": worse}.get(outcome, warned).append(f"{item.metric}: better than {item.reference}")
    predicate = {
        "result": "FAILED" if failed else "WARNED" if warned or not passed else "PASSED",
        "configuration": [
            {"name": "recipe.yaml", "digest": _sha256(subjects.recipe)},
            {"name": report.test.name, "digest": _sha256(report.test.rows_digest)},
        ],
        "passedTests": passed,
        "warnedTests": warned,
        "failedTests": failed,
        "systems": [system.model_dump(mode="json") for system in report.systems],
        "comparisons": [item.model_dump(mode="json") for item in report.comparisons],
        "report": report.digest(),
    }
    return make_statement(subjects.evaluated, predicate_type=TEST_RESULT_TYPE, predicate=numbers_as_strings(predicate))


def gate_statement(recipe: Recipe, report: GateReport, *, subjects: StatementSubjects, run: RunReference) -> Statement:
    """Requirements of the policy that the evaluated files met."""
    policy = canonical_bytes([requirement.model_dump(mode="json") for requirement in recipe.gate])
    met = [_gate_property(verdict.requirement) for verdict in report.verdicts if verdict.outcome == "pass"]
    predicate = {
        "verifier": {
            "id": VERIFIER,
            "policies": [{"name": "recipe.yaml, gate", "digest": _sha256(digest_of(policy))}],
        },
        "timeCreated": run.started,
        "properties": [*(["TUNESMITH_GATE_PASSED"] if report.outcome == "pass" else []), *met],
        "verdicts": [verdict.model_dump(mode="json") for verdict in report.verdicts],
        "report": report.digest(),
    }
    return make_statement(subjects.evaluated, predicate_type=SVR_TYPE, predicate=numbers_as_strings(predicate))


def audit_statement(report: AuditReport) -> Statement:
    """Rows read, dropped, redacted and warned about, by rule. The subjects are the cleaned datasets."""
    datasets = {"train": report.train.rows_digest}
    if report.test is not None:
        datasets["test"] = report.test.rows_digest
    predicate = {
        "sources": [source.model_dump(mode="json") for source in report.sources],
        "rowsRead": report.rows_read,
        "rowsTrain": report.train.rows,
        "rowsTest": 0 if report.test is None else report.test.rows,
        **({} if report.split is None else {"split": report.split.model_dump(mode="json")}),
        "dropped": report.dropped,
        "redacted": report.redacted,
        "warned": report.warned,
        "checks": report.checks,
        "quarantine": report.quarantine,
        "code": report.provenance.code,
        "report": report.digest(),
    }
    return make_statement(datasets, predicate_type=AUDIT_TYPE, predicate=numbers_as_strings(predicate))


def numbers_as_strings(value: Any) -> Any:
    """Copy of the value with floats, and integers beyond 2^53, as strings."""
    if isinstance(value, dict):
        return {key: numbers_as_strings(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [numbers_as_strings(item) for item in value]
    if isinstance(value, float) or (
        isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_SAFE_INTEGER
    ):
        return str(value)
    return value


def _sha256(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}


def _gate_property(requirement: str) -> str:
    """`exact-match at least 0.8` as `TUNESMITH_EXACT_MATCH_AT_LEAST_0.8`."""
    return "TUNESMITH_" + re.sub(r"[^A-Z0-9.]+", "_", requirement.upper()).strip("_")
