"""Training: one readable loop from clean rows and a base to a model, an exact record and a resumable state."""

from tunesmith.train.precision import precision_of, resolved
from tunesmith.train.preview import dry_run
from tunesmith.train.ready import TrainInputs, as_tuned
from tunesmith.train.run import adopt, dismiss, follow, follows, run

__all__ = [
    "TrainInputs",
    "adopt",
    "as_tuned",
    "dismiss",
    "dry_run",
    "follow",
    "follows",
    "precision_of",
    "resolved",
    "run",
]
