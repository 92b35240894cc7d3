"""Which metrics go with what: those of a task whose recipe names none, those that read labels or likelihoods."""

from typing import Final

from tunesmith.recipe import TaskSettings

LABEL_METRICS: Final = ("exact-match", "macro-f1")
"""Those that baselines are scored on: they name labels and write no texts."""

LIKELIHOOD_METRICS: Final = ("bits-per-byte",)
"""Those that need the probability of a text and read no answer."""


def default_metrics(task: TaskSettings) -> tuple[str, ...]:
    """Metric ids, the first one the headline."""
    match task.type:
        case "classify":
            return ("exact-match", "macro-f1")
        case "text":
            return ("bits-per-byte",)
        case _:
            return ("exact-match", "macro-f1", "chrf")
