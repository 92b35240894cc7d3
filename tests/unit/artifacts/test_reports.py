"""What a report's digest covers, and that no number travels without being a number."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tunesmith.artifacts import Estimate, Evidence, GateReport, Insufficient, Provenance, TrainReport, Verdict

PROVENANCE = Provenance(stage="gate", inputs={"a": "sha256:1"}, settings="s", code="c", versions={"torch": "2"}, seed=3)
VERDICT = Verdict(requirement="exact-match at least 0.9", outcome="pass", reason="0.95")


def gate(**changes: Any) -> GateReport:
    return GateReport(**{"provenance": PROVENANCE, "verdicts": (VERDICT,), "outcome": "pass", **changes})


def test_measurements_are_outside_the_digest_and_inside_the_bytes() -> None:
    quick, slow = gate(measured={"seconds": 1.0}), gate(measured={"seconds": 9.5})
    assert quick.digest() == slow.digest() == gate().digest()
    assert quick.canonical() != slow.canonical()
    assert "measured" not in quick.results()
    assert GateReport.from_bytes(slow.canonical()).measured == {"seconds": 9.5}


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "fail"},
        {"verdicts": ()},
        {"provenance": PROVENANCE.model_copy(update={"seed": 4})},
        {"provenance": PROVENANCE.model_copy(update={"code": "d"})},
    ],
)
def test_results_and_provenance_are_inside_the_digest(changes: dict[str, Any]) -> None:
    assert gate(**changes).digest() != gate().digest()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_none_is_refused_everywhere(number: float) -> None:
    with pytest.raises(ValidationError):
        Estimate(metric="m", value=number, low=0, high=1, n=3, signature="s")
    with pytest.raises(ValidationError):
        gate(measured={"seconds": number})


def test_evidence_is_told_apart_by_its_type() -> None:
    reader: TypeAdapter[Any] = TypeAdapter(Evidence)
    number = Estimate(metric="m", value=0.5, low=0.4, high=0.6, n=10, signature="s")
    none = Insufficient(metric="m", reason="no rows")
    assert reader.validate_python(number.model_dump()) == number
    assert reader.validate_python(none.model_dump()) == none
    with pytest.raises(ValidationError):
        reader.validate_python({"metric": "m", "reason": "no rows"})


def test_a_verdict_has_three_outcomes() -> None:
    for outcome in ("pass", "fail", "inconclusive"):
        assert Verdict(requirement="r", outcome=outcome, reason="").outcome == outcome
    with pytest.raises(ValidationError):
        Verdict(requirement="r", outcome="maybe", reason="")  # type: ignore[arg-type]


def test_a_training_report_needs_every_part_of_its_record() -> None:
    with pytest.raises(ValidationError) as caught:
        TrainReport(provenance=PROVENANCE)  # type: ignore[call-arg]
    missing = {problem["loc"][0] for problem in caught.value.errors()}
    assert {"model", "base", "consumption", "threads", "curve", "steps"} <= missing
