"""Training: one readable loop from clean rows and a base to a model, an exact record and a resumable state."""

from tunesmith.train.precision import resolved
from tunesmith.train.ready import TrainInputs
from tunesmith.train.run import adopt, dismiss, follow, follows, run

__all__ = ["TrainInputs", "adopt", "dismiss", "follow", "follows", "resolved", "run"]
