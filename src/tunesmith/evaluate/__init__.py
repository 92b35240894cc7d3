"""Evaluation: tuned, base and baselines on the same held-out rows, compared in pairs."""

from tunesmith.evaluate.preflight import Ahead, check_base, row_faults
from tunesmith.evaluate.run import EvaluateInputs, run

__all__ = ["Ahead", "EvaluateInputs", "check_base", "row_faults", "run"]
