"""Summary of a run in words: headline, key figures, removed rows, sample answers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tunesmith.artifacts import ACTION_WORDING, AuditReport, EvaluationReport, Finding, GateReport, Place, TrainReport
from tunesmith.pages import Headline, Tile
from tunesmith.release import wording
from tunesmith.release.gate import BASE_SYSTEMS, TUNED_SYSTEM
from tunesmith.release.result_lines import (
    MetricResults,
    find_system_line,
    headline_sentence,
    results_by_metric,
    stronger_base,
)

MAX_EXAMPLES_PER_RULE: Final = 3


@dataclass(frozen=True)
class FindingRow:
    """One finding as displayed."""

    place: str
    action: str
    reason: str
    other: str
    similarity: str


@dataclass(frozen=True)
class RuleFindings:
    """Number of findings of one rule, and the first few."""

    rule: str
    count: int
    examples: tuple[FindingRow, ...]


@dataclass(frozen=True)
class ShownAnswer:
    """Output of one system. `same` is true if it equals the expected text up to surrounding whitespace."""

    name: str
    text: str
    same: bool
    tuned: bool = False


@dataclass(frozen=True)
class HeldOutSample:
    """One test row with its answers."""

    place: str
    prompt: str
    answers: tuple[ShownAnswer, ...]


def page_headline(
    audit: AuditReport,
    *,
    train: TrainReport | None = None,
    evaluation: EvaluationReport | None = None,
    gate: GateReport | None = None,
) -> Headline:
    """Title and sentences at the top of the page."""
    if gate is None or evaluation is None:
        return _stopped_headline(audit, train, evaluation)
    numbers = headline_sentence(results_by_metric(evaluation))
    met = sum(verdict.outcome == "pass" for verdict in gate.verdicts)
    if gate.outcome == "pass":
        sentence = "It may be released: " + (
            f"all {met} requirements are met." if met > 1 else "its one requirement is met."
        )
        return Headline("pass", "The tuned model passed every requirement", (numbers, sentence))
    unmet = f"{met} of {wording.count_noun(len(gate.verdicts), 'requirement')} met. Nothing was released."
    if not gate.verdicts:
        unmet = "The recipe names no requirement, and an empty policy never passes. Nothing was released."
    if gate.outcome == "fail":
        return Headline("fail", "The tuned model was refused", (numbers, unmet))
    return Headline("inconclusive", "Not released: the evidence is not enough to tell", (numbers, unmet))


def _stopped_headline(audit: AuditReport, train: TrainReport | None, evaluation: EvaluationReport | None) -> Headline:
    blocks = [finding for finding in audit.findings if finding.action == "block"]
    if blocks and train is None:
        first = blocks[0]
        sentence = f"{first.rule} at {_format_place(first.place)}: {first.reason}."
        more = f"Findings that stop the run: {len(blocks):,}. Nothing was trained."
        return Headline("fail", "The audit stopped this run", (sentence, more))
    last = "evaluated" if evaluation is not None else "trained" if train is not None else "audited"
    return Headline(
        "inconclusive", f"The run has {last}, and stopped there", ("No verdict was reached, nothing was released.",)
    )


def summary_tiles(
    audit: AuditReport, train: TrainReport | None, evaluation: EvaluationReport | None
) -> tuple[Tile, ...]:
    """Key figures: rows, training, first metric."""
    test = 0 if audit.test is None else audit.test.rows
    removed = audit.rows_read - audit.train.rows - test
    tiles = [
        Tile(
            "Rows read", wording.format_count(audit.rows_read), f"from {wording.count_noun(len(audit.sources), 'file')}"
        ),
        Tile(
            "Taken out by the audit",
            wording.format_count(removed),
            f"{audit.train.rows:,} left to train on, {test:,} to test on",
        ),
    ]
    if train is not None:
        tuned = wording.format_parameters(train.trainable_parameters)
        tiles.append(
            Tile("Weights tuned", tuned, f"in {wording.count_noun(train.steps, 'step')}, {train.epochs:g} epochs")
        )
    results = () if evaluation is None else results_by_metric(evaluation)
    if results:
        line, base = find_system_line(results[0], TUNED_SYSTEM), stronger_base(results[0])
        if line is not None:
            note = "" if base is None else f"its base at its best: {base.value}"
            tiles.append(Tile(results[0].metric.title, line.value, note))
    return tuple(tiles)


def findings_by_rule(audit: AuditReport) -> tuple[RuleFindings, ...]:
    """Findings grouped by rule, most frequent first, with a few examples each."""
    groups: dict[str, list[Finding]] = {}
    for finding in audit.findings:
        groups.setdefault(finding.rule, []).append(finding)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        RuleFindings(rule, len(findings), tuple(_finding_row(finding) for finding in findings[:MAX_EXAMPLES_PER_RULE]))
        for rule, findings in ordered
    )


def held_out_samples(evaluation: EvaluationReport, results: Sequence[MetricResults]) -> tuple[HeldOutSample, ...]:
    """Test rows with the expected answer, the answer of the best base and that of the tuned model."""
    base = stronger_base(results[0]) if results else None
    systems = [base.system if base is not None else BASE_SYSTEMS[0], TUNED_SYSTEM]
    return tuple(
        HeldOutSample(
            place=sample.get("place", ""),
            prompt=sample.get("prompt", ""),
            answers=(
                ShownAnswer("Expected", _format_json(sample.get("expected", "")), same=False),
                *(_shown_answer(sample, system) for system in systems if system in sample),
            ),
        )
        for sample in evaluation.samples
    )


def _shown_answer(sample: dict[str, str], system: str) -> ShownAnswer:
    text = sample[system]
    same = bool(text.strip()) and text.strip() == sample.get("expected", "").strip()
    return ShownAnswer(
        wording.system_name(system), _format_json(text) or "(nothing)", same, tuned=system == TUNED_SYSTEM
    )


def _format_json(text: str) -> str:
    """Pretty-print a JSON object, which is easier to compare; other text is unchanged."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _finding_row(finding: Finding) -> FindingRow:
    other = "" if finding.other is None else _format_place(finding.other)
    similarity = "" if finding.similarity is None else f"{finding.similarity:.0%} alike"
    return FindingRow(_format_place(finding.place), ACTION_WORDING[finding.action], finding.reason, other, similarity)


def _format_place(place: Place) -> str:
    return place.file if place.line == 0 else f"{place.file}:{place.line}"
