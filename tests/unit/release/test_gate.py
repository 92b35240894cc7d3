"""The gate: all outcomes, boundary values, both directions, both bases, missing evidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.artifacts import (
    Comparison,
    Dataset,
    Estimate,
    EvaluationReport,
    Insufficient,
    Outcome,
    Provenance,
    SystemScores,
    Verdict,
)
from tunesmith.recipe.stages import Requirement
from tunesmith.release.gate import decide_requirements, worst_outcome

TEST = Dataset(name="test", rows=300, rows_digest="sha256:0", container="sha256:1")
PROVENANCE = Provenance(stage="evaluate", inputs={}, settings="s", code="c", versions={}, seed=0)


def number(value: float, low: float, high: float, metric: str = "exact-match") -> Estimate:
    return Estimate(metric=metric, value=value, low=low, high=high, n=300, signature="made for this test")


def thin(metric: str = "exact-match") -> Insufficient:
    return Insufficient(metric=metric, reason="there are too few examples")


def report(
    *,
    tuned: Estimate | Insufficient | None = None,
    against: dict[str, Estimate | Insufficient] | None = None,
    bases: tuple[str, ...] = (),
) -> EvaluationReport:
    names = [*bases, *(against or {})]
    systems = [SystemScores(system=name, how="", estimates=(), scores="") for name in dict.fromkeys(names)]
    own = SystemScores(system="tuned", how="", estimates=() if tuned is None else (tuned,), scores="")
    comparisons = [
        Comparison(metric=difference.metric, reference=name, difference=difference)
        for name, difference in (against or {}).items()
    ]
    return EvaluationReport(provenance=PROVENANCE, test=TEST, systems=(own, *systems), comparisons=tuple(comparisons))


def judge(requirement: Requirement, evaluation: EvaluationReport) -> Verdict:
    (verdict,) = decide_requirements([requirement], evaluation)
    return verdict


@pytest.mark.parametrize(
    ("by", "low", "high", "expected_outcome"),
    [
        (0.1, 0.11, 0.3, "pass"),
        (0.1, 0.1, 0.3, "pass"),
        (0.1, 0.0999, 0.3, "inconclusive"),
        (0.1, 0.0, 0.1, "inconclusive"),
        (0.1, 0.0, 0.0999, "fail"),
        (0.0, 0.001, 0.3, "pass"),
        (0.0, 0.0, 0.3, "inconclusive"),
        (0.0, -0.2, 0.0, "inconclusive"),
        (0.0, -0.2, -0.001, "fail"),
    ],
)
def test_better_than(by: float, low: float, high: float, expected_outcome: Outcome) -> None:
    requirement = Requirement(metric="exact-match", better_than="majority", by=by)
    verdict = judge(requirement, report(against={"majority": number(low + 0.05, low, high)}))
    assert verdict.outcome == expected_outcome
    assert verdict.requirement == f"exact-match better than majority by {by:g}"


@pytest.mark.parametrize(
    ("margin", "low", "high", "expected_outcome"),
    [
        (0.05, -0.049, 0.1, "pass"),
        (0.05, -0.05, 0.1, "inconclusive"),
        (0.05, -0.06, -0.05, "inconclusive"),
        (0.05, -0.2, -0.051, "fail"),
        (0.0, 0.001, 0.1, "pass"),
        (0.0, -0.001, 0.1, "inconclusive"),
    ],
)
def test_no_worse_than(margin: float, low: float, high: float, expected_outcome: Outcome) -> None:
    requirement = Requirement(metric="chrf", no_worse_than="majority", margin=margin)
    verdict = judge(requirement, report(against={"majority": number((low + high) / 2, low, high, "chrf")}))
    assert verdict.outcome == expected_outcome


@pytest.mark.parametrize(
    ("low", "high", "expected_outcome"), [(0.1, 0.5, "pass"), (0.05, 0.5, "inconclusive"), (-0.5, 0.05, "fail")]
)
def test_lower_is_better_turns_the_difference(low: float, high: float, expected_outcome: Outcome) -> None:
    """Bits per byte: tuned minus base of -0.5 to -0.1 is a gain of 0.1 to 0.5."""
    difference = number(-(low + high) / 2, -high, -low, "bits-per-byte")
    requirement = Requirement(metric="bits-per-byte", better_than="majority", by=0.1)
    assert judge(requirement, report(against={"majority": difference})).outcome == expected_outcome
    equal = Requirement(metric="bits-per-byte", no_worse_than="majority", margin=0.2)
    assert judge(equal, report(against={"majority": number(0.3, 0.21, 0.4, "bits-per-byte")})).outcome == "fail"


@pytest.mark.parametrize(
    ("limit", "low", "high", "expected_outcome"),
    [
        ({"at_least": 0.8}, 0.8, 0.9, "pass"),
        ({"at_least": 0.8}, 0.79, 0.8, "inconclusive"),
        ({"at_least": 0.8}, 0.7, 0.79, "fail"),
        ({"at_most": 0.1}, 0.0, 0.1, "pass"),
        ({"at_most": 0.1}, 0.1, 0.11, "inconclusive"),
        ({"at_most": 0.1}, 0.11, 0.2, "fail"),
        ({"at_least": 0.0}, 0.0, 0.2, "pass"),
        ({"at_most": 0.0}, 0.0, 0.2, "inconclusive"),
    ],
)
def test_absolute_limits(limit: dict[str, float], low: float, high: float, expected_outcome: Outcome) -> None:
    requirement = Requirement(metric="exact-match", **limit)
    assert judge(requirement, report(tuned=number((low + high) / 2, low, high))).outcome == expected_outcome


def test_inconclusive_says_how_many_more_examples() -> None:
    """Interval +-0.0588 at n = 300: deviation 0.52; gap 0.05: (2.8016 x 0.52 / 0.05)^2 = 849, 549 more."""
    verdict = judge(
        Requirement(metric="exact-match", better_than="majority"),
        report(against={"majority": number(0.05, 0.05 - 0.05884343, 0.05 + 0.05884343)}),
    )
    assert (verdict.outcome, verdict.more_examples) == ("inconclusive", 549)
    assert verdict.reason == (
        "tuned minus majority: 0.05 (-0.008843 to 0.1088, 95% interval, n = 300); "
        "about 549 more examples would settle it if the value stays"
    )


def test_a_value_on_the_threshold_is_never_sure_to_be_settled() -> None:
    verdict = judge(Requirement(metric="exact-match", at_least=0.8), report(tuned=number(0.8, 0.7, 0.9)))
    assert (verdict.outcome, verdict.more_examples) == ("inconclusive", None)
    assert "no number of examples is sure to settle it" in verdict.reason


def test_verdict_names_its_evidence() -> None:
    evaluation = report(against={"majority": number(0.3, 0.2, 0.4)})
    verdict = judge(Requirement(metric="exact-match", better_than="majority"), evaluation)
    assert verdict == Verdict(
        requirement="exact-match better than majority by 0",
        outcome="pass",
        reason="tuned minus majority: 0.3 (0.2 to 0.4, 95% interval, n = 300)",
        evidence=f"comparison exact-match tuned/majority of {evaluation.digest()}",
    )


BASE = Requirement(metric="exact-match", better_than="base", by=0.1)
CLEAR, CLOSE, SHORT = number(0.4, 0.3, 0.5), number(0.12, 0.05, 0.2), number(0.0, -0.05, 0.05)


@pytest.mark.parametrize(
    ("plain", "prompted", "expected_outcome", "named"),
    [
        (CLEAR, number(0.3, 0.2, 0.4), "pass", "base-prompted is the stronger of 2 base systems"),
        (number(0.3, 0.2, 0.4), CLEAR, "pass", "base-plain is the stronger of 2 base systems"),
        (CLEAR, CLOSE, "inconclusive", "base-prompted is the stronger of 2 base systems"),
        (CLEAR, SHORT, "fail", "base-prompted is the stronger of 2 base systems"),
        (SHORT, CLOSE, "fail", "base-plain is the stronger of 2 base systems"),
        (CLEAR, thin(), "inconclusive", "against base-prompted: there are too few examples"),
        (SHORT, thin(), "fail", "tuned minus base-plain"),
    ],
)
def test_base_is_every_base_that_was_evaluated(
    plain: Estimate, prompted: Estimate | Insufficient, expected_outcome: Outcome, named: str
) -> None:
    verdict = judge(BASE, report(against={"base-plain": plain, "base-prompted": prompted}))
    assert verdict.outcome == expected_outcome
    assert named in verdict.reason


def test_one_base_is_enough_when_only_one_was_evaluated() -> None:
    verdict = judge(BASE, report(against={"base-plain": CLEAR}))
    assert verdict.outcome == "pass"
    assert "stronger" not in verdict.reason


@pytest.mark.parametrize(
    ("requirement", "evaluation", "reason"),
    [
        (BASE, report(), "no base system was evaluated"),
        (BASE, report(against={"base-plain": CLEAR}, bases=("base-prompted",)), "the report has no comparison"),
        (BASE, report(against={"base-plain": thin()}), "against base-plain: there are too few examples"),
        (Requirement(metric="exact-match", no_worse_than="majority"), report(), "the report has no comparison"),
        (Requirement(metric="exact-match", at_least=0.1), report(), "no single estimate"),
        (Requirement(metric="exact-match", at_least=0.1), report(tuned=thin()), "there are too few examples"),
        (Requirement(metric="exact-match", at_least=0.1), report(tuned=number(1, 1, 1, "chrf")), "no single estimate"),
        (Requirement(metric="wit", at_least=0.1), report(tuned=number(1, 1, 1, "wit")), "no metric is called 'wit'"),
    ],
)
def test_missing_or_thin_evidence_is_inconclusive(
    requirement: Requirement, evaluation: EvaluationReport, reason: str
) -> None:
    verdict = judge(requirement, evaluation)
    assert verdict.outcome == "inconclusive"
    assert reason in verdict.reason


def test_two_comparisons_of_one_thing_prove_nothing() -> None:
    evaluation = report(against={"majority": CLEAR})
    double = evaluation.model_copy(update={"comparisons": evaluation.comparisons * 2})
    verdict = judge(Requirement(metric="exact-match", better_than="majority"), double)
    assert (verdict.outcome, verdict.reason) == (
        "inconclusive",
        "the report has 2 comparisons of tuned and majority on it",
    )


def test_verdicts_come_in_the_policys_order() -> None:
    policy = [Requirement(metric="exact-match", at_least=limit) for limit in (0.9, 0.5)]
    verdicts = decide_requirements(policy, report(tuned=number(0.7, 0.6, 0.8)))
    assert [verdict.outcome for verdict in verdicts] == ["fail", "pass"]
    assert decide_requirements([], report()) == ()


def test_an_empty_policy_never_passes() -> None:
    assert worst_outcome(()) == "inconclusive"


@given(st.lists(st.sampled_from(["pass", "fail", "inconclusive"]), min_size=1, max_size=5))
def test_outcome_is_the_gravest(outcomes: list[Outcome]) -> None:
    verdicts = [Verdict(requirement="r", outcome=item, reason="") for item in outcomes]
    expected = "fail" if "fail" in outcomes else "inconclusive" if "inconclusive" in outcomes else "pass"
    assert worst_outcome(verdicts) == expected
