"""The gate: judge each requirement of the policy against the evaluation report. Pure functions, three outcomes.

A difference passes when the near end of its two-sided interval is past the threshold, which is a one-sided test at half the
interval's error rate. It fails when the far end is short of the threshold. Otherwise it is inconclusive, and the verdict says
how many more examples would decide it. All requirements must pass, so no correction for multiple testing is needed (Berger
1982, Technometrics 24:295-300, intersection-union tests). Values are oriented so that higher is better.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tunesmith.artifacts import Comparison, Estimate, EvaluationReport, Insufficient, Outcome, Verdict
from tunesmith.recipe.stages import Requirement
from tunesmith.scoring import metric_class, metric_ids
from tunesmith.stats.power import deviation_from_interval, examples_needed

TUNED_SYSTEM: Final = "tuned"
BASE_SYSTEMS: Final = ("base-plain", "base-prompted", "base-frozen")
"""`base` in a policy stands for all of these that were evaluated, so the strongest one counts."""

OUTCOME_SEVERITY: Final[dict[Outcome, int]] = {"pass": 0, "inconclusive": 1, "fail": 2}


@dataclass(frozen=True)
class JudgedRequirement:
    """Verdict on one requirement and one reference system. `gain` is the difference, oriented so that higher is better."""

    verdict: Verdict
    reference: str = ""
    gain: float | None = None


def decide_requirements(policy: Sequence[Requirement], evaluation: EvaluationReport) -> tuple[Verdict, ...]:
    """One verdict per requirement, in policy order."""
    return tuple(_requirement_verdict(requirement, evaluation) for requirement in policy)


def worst_outcome(verdicts: Sequence[Verdict]) -> Outcome:
    """The worst outcome. No verdicts at all count as inconclusive: an empty policy never passes."""
    if not verdicts:
        return "inconclusive"
    return max((verdict.outcome for verdict in verdicts), key=OUTCOME_SEVERITY.__getitem__)


def describe_requirement(requirement: Requirement) -> str:
    """E.g. `exact-match better than base by 0.1`. Part of the gate report."""
    if requirement.better_than is not None:
        return f"{requirement.metric} better than {requirement.better_than} by {requirement.by:g}"
    if requirement.no_worse_than is not None:
        return f"{requirement.metric} no worse than {requirement.no_worse_than}, margin {requirement.margin:g}"
    if requirement.at_least is not None:
        return f"{requirement.metric} at least {requirement.at_least:g}"
    return f"{requirement.metric} at most {requirement.at_most:g}"


def _requirement_verdict(requirement: Requirement, evaluation: EvaluationReport) -> Verdict:
    if requirement.metric not in metric_ids():
        return _inconclusive(requirement, f"no metric is called {requirement.metric!r}")
    wanted = requirement.better_than or requirement.no_worse_than
    if wanted is None:
        return _threshold_verdict(requirement, evaluation)
    references = _reference_systems(wanted, evaluation)
    if not references:
        return _inconclusive(requirement, f"no {wanted} system was evaluated")
    judgements = [_judge_against(requirement, reference, evaluation) for reference in references]
    return _worst_verdict(judgements)


def _reference_systems(wanted: str, evaluation: EvaluationReport) -> list[str]:
    if wanted != "base":
        return [wanted]
    seen = {system.system for system in evaluation.systems} | {item.reference for item in evaluation.comparisons}
    return [name for name in BASE_SYSTEMS if name in seen]


def _worst_verdict(judgements: Sequence[JudgedRequirement]) -> Verdict:
    """The verdict with the worst outcome; on a tie, the one with the smallest gain, against the strongest reference."""
    gains = [item.gain for item in judgements if item.gain is not None]
    worst = max(
        judgements,
        key=lambda item: (OUTCOME_SEVERITY[item.verdict.outcome], math.inf if item.gain is None else -item.gain),
    )
    if len(gains) < 2 or worst.gain is None or worst.gain > min(gains):
        return worst.verdict
    note = f"{worst.reference} is the stronger of {len(gains)} base systems"
    return worst.verdict.model_copy(update={"reason": f"{worst.verdict.reason}; {note}"})


def _judge_against(requirement: Requirement, reference: str, evaluation: EvaluationReport) -> JudgedRequirement:
    matches = [c for c in evaluation.comparisons if (c.metric, c.reference) == (requirement.metric, reference)]
    if len(matches) != 1:
        many = "no comparison" if not matches else f"{len(matches)} comparisons"
        return JudgedRequirement(
            _inconclusive(requirement, f"the report has {many} of tuned and {reference} on it"), reference
        )
    return _judge_comparison(requirement, matches[0], evaluation)


def _judge_comparison(
    requirement: Requirement, comparison: Comparison, evaluation: EvaluationReport
) -> JudgedRequirement:
    reference = comparison.reference
    difference = comparison.difference
    evidence = f"comparison {comparison.metric} tuned/{reference} of {evaluation.digest()}"
    if isinstance(difference, Insufficient):
        return JudgedRequirement(
            _inconclusive(requirement, f"against {reference}: {difference.reason}", evidence), reference
        )
    value, low, high = _oriented_interval(difference)
    if requirement.better_than is not None:
        threshold = requirement.by
        passed = low >= threshold and low > 0.0
    else:
        threshold = -requirement.margin
        passed = low > threshold
    summary = f"tuned minus {reference}: {_format_estimate(difference)}"
    verdict = _interval_verdict(
        requirement, difference, gap=value - threshold, summary=summary, passed=passed, failed=high < threshold
    )
    return JudgedRequirement(verdict.model_copy(update={"evidence": evidence}), reference, value)


def _threshold_verdict(requirement: Requirement, evaluation: EvaluationReport) -> Verdict:
    matches = [
        estimate
        for system in evaluation.systems
        if system.system == TUNED_SYSTEM
        for estimate in system.estimates
        if estimate.metric == requirement.metric
    ]
    if len(matches) != 1:
        return _inconclusive(requirement, "the report has no single estimate of it for the tuned model")
    estimate = matches[0]
    evidence = f"estimate {estimate.metric} of tuned in {evaluation.digest()}"
    if isinstance(estimate, Insufficient):
        return _inconclusive(requirement, estimate.reason, evidence)
    summary = f"tuned: {_format_estimate(estimate)}"
    if requirement.at_least is not None:
        threshold, passed, failed = (
            requirement.at_least,
            estimate.low >= requirement.at_least,
            estimate.high < requirement.at_least,
        )
    else:
        threshold = requirement.at_most if requirement.at_most is not None else 0.0
        passed, failed = estimate.high <= threshold, estimate.low > threshold
    verdict = _interval_verdict(
        requirement, estimate, gap=estimate.value - threshold, summary=summary, passed=passed, failed=failed
    )
    return verdict.model_copy(update={"evidence": evidence})


def _interval_verdict(
    requirement: Requirement, estimate: Estimate, *, gap: float, summary: str, passed: bool, failed: bool
) -> Verdict:
    if passed or failed:
        return Verdict(
            requirement=describe_requirement(requirement), outcome="pass" if passed else "fail", reason=summary
        )
    deviation = deviation_from_interval(estimate.low, estimate.high, estimate.n, level=estimate.level)
    needed = examples_needed(gap, deviation, level=estimate.level)
    if needed is None:
        return _inconclusive(
            requirement, f"{summary}; the value lies on the threshold, no number of examples is sure to settle it"
        )
    more = max(1, needed - estimate.n)
    verdict = _inconclusive(requirement, f"{summary}; about {more} more examples would settle it if the value stays")
    return verdict.model_copy(update={"more_examples": more})


def _oriented_interval(difference: Estimate) -> tuple[float, float, float]:
    """(value, low, high), oriented so that higher is better."""
    if metric_class(difference.metric).higher_is_better:
        return difference.value, difference.low, difference.high
    return -difference.value, -difference.high, -difference.low


def _format_estimate(estimate: Estimate) -> str:
    interval = f"{estimate.low:.4g} to {estimate.high:.4g}"
    return f"{estimate.value:.4g} ({interval}, {estimate.level:.0%} interval, n = {estimate.n})"


def _inconclusive(requirement: Requirement, reason: str, evidence: str = "") -> Verdict:
    return Verdict(
        requirement=describe_requirement(requirement), outcome="inconclusive", reason=reason, evidence=evidence
    )
