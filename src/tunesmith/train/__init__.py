"""Training: one readable loop that trains a base model on rows, records what each step consumed, and resumes bit for bit."""

from tunesmith.train.precision import precision_of, resolve_precision
from tunesmith.train.preview import dry_run
from tunesmith.train.run import dismiss_followers, follow_rank_zero, is_follower, reuse_report, run
from tunesmith.train.setup import TrainInputs, with_random_adapter

__all__ = [
    "TrainInputs",
    "reuse_report",
    "with_random_adapter",
    "dismiss_followers",
    "dry_run",
    "follow_rank_zero",
    "is_follower",
    "precision_of",
    "resolve_precision",
    "run",
]
