"""The metrics of a task whose recipe names none."""

from tunesmith.recipe import TaskSettings


def default_metrics(task: TaskSettings) -> tuple[str, ...]:
    """Metric ids, the first one the headline."""
    match task.type, task.labels:
        case "classify", "multi":
            return ("multilabel-micro-f1", "multilabel-macro-f1", "exact-match")
        case "classify", "score":
            return ("mae", "rmse", "spearman", "pearson")
        case "classify", "single":
            return ("exact-match", "macro-f1")
        case "tag", _:
            return ("entity-f1", "entity-precision", "entity-recall")
        case "text", _:
            return ("bits-per-byte",)
    return ("exact-match", "macro-f1", "chrf")
