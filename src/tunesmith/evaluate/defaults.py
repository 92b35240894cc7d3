"""The metrics of a task whose recipe names none."""

from tunesmith.recipe import TaskSettings


def default_metrics(task: TaskSettings) -> tuple[str, ...]:
    """Metric ids, the first one the headline."""
    match task.type:
        case "classify":
            return ("exact-match", "macro-f1")
        case "text":
            return ("bits-per-byte",)
        case _:
            return ("exact-match", "macro-f1", "chrf")
