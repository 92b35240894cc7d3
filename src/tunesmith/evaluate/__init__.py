"""Evaluation: tuned, base and baselines on the same held-out rows, compared in pairs."""

from tunesmith.evaluate.run import EvaluateInputs, run

__all__ = ["EvaluateInputs", "run"]
