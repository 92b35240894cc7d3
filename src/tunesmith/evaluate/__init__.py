"""Evaluation: the tuned model, its base and baselines on the same held-out rows, with paired comparisons."""

from tunesmith.evaluate.preflight import EvaluationPlan, check_base, find_row_faults
from tunesmith.evaluate.run import EvaluateInputs, run

__all__ = ["EvaluationPlan", "EvaluateInputs", "check_base", "find_row_faults", "run"]
