"""The gate stage: policy and evaluation report in, gate report out."""

from collections.abc import Sequence

from tunesmith.artifacts import EvaluationReport, GateReport
from tunesmith.context import Context
from tunesmith.recipe import Requirement
from tunesmith.release.gate import decide_requirements, worst_outcome


def run_gate(policy: Sequence[Requirement], evaluation: EvaluationReport, context: Context) -> GateReport:
    """Judge every requirement. The outcome is `pass` only if there is at least one requirement and all pass."""
    verdicts = decide_requirements(policy, evaluation)
    provenance = context.provenance(
        "gate",
        inputs={"evaluation": evaluation.digest()},
        settings={"policy": [requirement.model_dump(mode="json") for requirement in policy]},
    )
    return GateReport(provenance=provenance, verdicts=verdicts, outcome=worst_outcome(verdicts))
