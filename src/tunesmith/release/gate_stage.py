"""The gate as a stage: the policy and the evaluation in, a report of verdicts out."""

from collections.abc import Sequence

from tunesmith.artifacts import EvaluationReport, GateReport
from tunesmith.context import Context
from tunesmith.recipe import Requirement
from tunesmith.release.gate import decide_requirements, worst_outcome


def run_gate(policy: Sequence[Requirement], evaluation: EvaluationReport, context: Context) -> GateReport:
    """Every requirement's verdict; pass only when there is at least one and all pass."""
    verdicts = decide_requirements(policy, evaluation)
    provenance = context.provenance(
        "gate",
        inputs={"evaluation": evaluation.digest()},
        settings={"policy": [requirement.model_dump(mode="json") for requirement in policy]},
    )
    return GateReport(provenance=provenance, verdicts=verdicts, outcome=worst_outcome(verdicts))
