"""Reports of a run that never took place, as full as those of a real one. Loaded by path from the tests that need them."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tunesmith.artifacts import (
    AuditReport,
    Bin,
    Comparison,
    CurvePoint,
    Dataset,
    Estimate,
    EvaluationReport,
    Evidence,
    Finding,
    GateReport,
    Insufficient,
    Lengths,
    ModelRef,
    Place,
    Profile,
    Provenance,
    SourceSummary,
    SplitProfile,
    SystemScores,
    TrainReport,
    Verdict,
)
from tunesmith.recipe import Recipe, parse_recipe


@dataclass(frozen=True)
class Reports:
    recipe: Recipe
    audit: AuditReport
    train: TrainReport
    evaluation: EvaluationReport
    gate: GateReport


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


def provenance(stage: str) -> Provenance:
    versions = {"torch": "2.13.0", "transformers": "5.23.0"}
    return Provenance(stage=stage, inputs={}, settings=digest("1"), code=digest("2"), versions=versions, seed=7)


def recipe_of(**changes: Any) -> Recipe:
    value = {
        "name": "support-desk",
        "base": "tunesmith/pebble",
        "task": {"type": "chat", "instruction": "Sort the message and answer it."},
        "data": {
            "train": [{"path": "tickets.jsonl", "license": "CC-BY-4.0", "origin": "written for this example"}],
            "test": [{"path": "held-out.jsonl", "license": "CC-BY-4.0"}],
        },
        "audit": {"exempt": {"order-number": "invented for this example"}},
        "train": {"method": "lora", "rank": 16, "epochs": 2, "learning_rate": 0.002, "rows_per_step": 32},
        "gate": [{"metric": "exact-match", "better_than": "base", "by": 0.1}],
        "release": {"license": "CC-BY-4.0", "intended_use": "Sorting the messages of a small shop."},
    }
    return parse_recipe(value | changes)


def place(line: int, file: str = "tickets.jsonl") -> Place:
    return Place(row_id=f"{line:016x}", file=file, line=line)


def findings() -> tuple[Finding, ...]:
    def dropped(rule: str, line: int, reason: str, **more: Any) -> Finding:
        return Finding(rule=rule, severity="error", action="drop", place=place(line), reason=reason, **more)

    near = "shares 41 of 44 runs of five words with a row before it"
    leak = "the same message stands in the held-out rows"
    return (
        *(dropped("near-duplicate", 100 + i, near, other=place(80 + i), similarity=0.93) for i in range(14)),
        *(dropped("exact-duplicate", 300 + i, "equal to an earlier row", other=place(20 + i)) for i in range(9)),
        *(dropped("split-leakage", 500 + i, leak, other=place(7 + i, "held-out.jsonl")) for i in range(6)),
        *(dropped("empty-completion", 700 + i, "there is no answer to learn") for i in range(4)),
        dropped("unlicensed-source", 811, "its source 'forum-dump' carries no licence"),
        *(
            Finding(
                rule="personal-data",
                severity="error",
                action="redact",
                place=place(40 + i),
                reason="an address of electronic mail",
                excerpt="TRAINING TEXT THAT MUST NOT LEAVE",
            )
            for i in range(11)
        ),
    )


def profile() -> Profile:
    def split(rows: int) -> SplitProfile:
        lengths = Lengths(least=20, median=118, p95=301, most=402, bins=(Bin(low=20, high=402, count=rows),))
        return SplitProfile(
            rows=rows,
            prompts=lengths,
            completions=lengths,
            labels={},
            languages={"en": rows},
            sources={"tickets": rows},
            licenses={"CC-BY-4.0": rows},
        )

    return Profile(train=split(950), test=split(300), clusters={2: 19, 3: 2})


def audit_report(**changes: Any) -> AuditReport:
    def source(path: str, rows: int, split: str, origin: str | None) -> SourceSummary:
        return SourceSummary(
            path=path,
            format="messages",
            rows=rows,
            sha256=digest("3" if split == "train" else "4"),
            license="CC-BY-4.0",
            origin=origin,
            basis=None,
            split=split,
        )

    values: dict[str, Any] = {
        "provenance": provenance("audit"),
        "train": Dataset(
            name="train", rows=916, rows_digest=digest("5"), container=digest("6"), licenses=("CC-BY-4.0",)
        ),
        "test": Dataset(name="held-out", rows=300, rows_digest=digest("7"), container=digest("8")),
        "sources": (
            source("tickets.jsonl", 950, "train", "written for this example"),
            source("held-out.jsonl", 300, "test", None),
        ),
        "findings": findings(),
        "found": dict(sorted(Counter(finding.rule for finding in findings()).items())),
        "all_findings": digest("8"),
        "blocking": {},
        "dropped": {
            "near-duplicate": 14,
            "exact-duplicate": 9,
            "split-leakage": 6,
            "empty-completion": 4,
            "unlicensed-source": 1,
        },
        "redacted": {"personal-data": 11, "secrets": 3},
        "warned": {"short-completion": 2},
        "quarantine": digest("9"),
        "profile": profile(),
        "rows_read": 1250,
        "checks": {"near-duplicate": "id=near-duplicate|version=1", "exact-duplicate": "id=exact-duplicate|version=1"},
    }
    return AuditReport(**(values | changes))


def train_report(**changes: Any) -> TrainReport:
    curve = tuple(
        CurvePoint(
            step=step,
            loss=0.35 + 2.6 * math.exp(-step / 12) + 0.08 * math.sin(step * 2.1),
            learning_rate=0.002 * min(1.0, (step + 1) / 4) * 0.5 * (1 + math.cos(math.pi * step / 58)),
            gradient_norm=1.0,
            supervised_tokens=900,
        )
        for step in range(58)
    )
    values: dict[str, Any] = {
        "provenance": provenance("train"),
        "model": ModelRef(
            name="tunesmith/pebble", tree=digest("a"), kind="adapter", base=digest("b"), parameters=7_420_000
        ),
        "base": ModelRef(name="tunesmith/pebble", tree=digest("b"), kind="base", parameters=7_077_888),
        "method": "lora",
        "objective": "completion",
        "steps": 58,
        "epochs": 2.0,
        "rows": 916,
        "tokens": 151_200,
        "supervised_tokens": 88_100,
        "trainable_parameters": 342_112,
        "curve": curve,
        "held_out": tuple(curve[index] for index in (14, 28, 43, 57)),
        "consumption": digest("c"),
        "threads": 2,
        "mask_sample": ("TRAINING TEXT THAT MUST NOT LEAVE",),
        "measured": {"seconds": 96.4},
    }
    return TrainReport(**(values | changes))


def estimate(metric: str, value: float, half: float, unit: str = "share", n: int = 300) -> Estimate:
    return Estimate(
        metric=metric,
        value=value,
        low=value - half,
        high=value + half,
        n=n,
        unit=unit,
        signature=f"id={metric}|version=1",
    )


def evaluation_report(**changes: Any) -> EvaluationReport:
    shares = {
        "tuned": (0.86, 0.81, 74.2),
        "base-plain": (0.02, 0.01, 12.5),
        "base-prompted": (0.243, 0.19, 31.9),
        "majority": (0.18, 0.05, None),
        "tfidf-words": (0.79, 0.74, None),
        "tfidf-characters": (0.843, 0.8, None),
    }

    def estimates(exact: float, f1: float, chrf: float | None) -> tuple[Evidence, ...]:
        found: list[Evidence] = [
            estimate("exact-match", exact, min(0.04, exact)),
            estimate("macro-f1", f1, min(0.05, f1)),
        ]
        return (*found, estimate("chrf", chrf, 1.4, "points")) if chrf is not None else tuple(found)

    def compared(metric: str, reference: str, value: float, half: float, unit: str = "share") -> Comparison:
        return Comparison(
            metric=metric,
            reference=reference,
            difference=estimate(metric, value, half, unit),
            p_value=0.2 if abs(value) < half else 1e-9,
            minimum_detectable=0.041 if unit == "share" else 1.9,
            won=192,
            lost=7,
            tied=101,
        )

    samples = (
        {
            "row_id": "00000000000000aa",
            "place": "held-out.jsonl:1",
            "prompt": "hey where is my parcel?? ordered the blue kettle (no. 40018) two weeks ago <b>& nothing</b>",
            "expected": '{"queue": "delivery", "fields": {"order": "40018", "product": "kettle", "date": "", '
            '"wish": "find"}, "reply": "We are sorry for the wait and will look for your parcel."}',
            "tuned": '{"queue": "delivery", "fields": {"order": "40018", "product": "kettle", "date": "", '
            '"wish": "find"}, "reply": "We are sorry for the wait and will look for your parcel."}',
            "base-plain": "The kettle is in the kitchen. The kettle is in the kitchen.",
            "base-prompted": '{"queue": "returns", "fields": {"order": "40018"}, "reply": "Thank you',
        },
        {
            "row_id": "00000000000000ab",
            "place": "held-out.jsonl:2",
            "prompt": "I was charged twice for the lamp. Please give one of them back.",
            "expected": '{"queue": "billing", "fields": {"order": "", "product": "lamp", "date": "", '
            '"wish": "refund"}, "reply": "We will give the second charge back."}',
            "tuned": '{"queue": "billing", "fields": {"order": "", "product": "lamp", "date": "", '
            '"wish": "refund"}, "reply": "We are sorry and will check the charge."}',
            "base-plain": "",
            "base-prompted": "please give one of them back",
        },
    )
    values: dict[str, Any] = {
        "provenance": provenance("evaluate"),
        "test": Dataset(name="held-out", rows=300, rows_digest=digest("7"), container=digest("8")),
        "systems": tuple(
            SystemScores(system=name, how=f"how {name} was asked", estimates=estimates(*values), scores=digest("d"))
            for name, values in shares.items()
        ),
        "comparisons": (
            compared("exact-match", "base-plain", 0.84, 0.05),
            compared("exact-match", "base-prompted", 0.617, 0.06),
            compared("exact-match", "majority", 0.68, 0.05),
            compared("exact-match", "tfidf-words", 0.07, 0.04),
            compared("exact-match", "tfidf-characters", 0.017, 0.04),
            compared("macro-f1", "base-prompted", 0.62, 0.06),
            compared("chrf", "base-prompted", 42.3, 2.1, "points"),
            Comparison(
                metric="chrf",
                reference="base-plain",
                difference=Insufficient(metric="chrf", reason="3 of 300 test rows cannot be scored", n=300),
            ),
        ),
        "samples": samples,
    }
    return EvaluationReport(**(values | changes))


def gate_report(outcome: str = "pass", **changes: Any) -> GateReport:
    verdict = Verdict(
        requirement="exact-match better than base by 0.1",
        outcome=outcome,  # type: ignore[arg-type]
        reason="tuned minus base-prompted: 0.617 (0.557 to 0.677, 95% interval, n = 300)",
        evidence=f"comparison exact-match tuned/base-prompted of {digest('e')}",
        more_examples=120 if outcome == "inconclusive" else None,
    )
    values: dict[str, Any] = {"provenance": provenance("gate"), "verdicts": (verdict,), "outcome": outcome}
    return GateReport(**(values | changes))


def all_reports() -> Reports:
    return Reports(recipe_of(), audit_report(), train_report(), evaluation_report(), gate_report())
