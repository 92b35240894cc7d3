"""Which metrics and baselines go with which task, and which of them a recipe gets that names none."""

from typing import Final

from tunesmith.recipe import TaskSettings

LABEL_METRICS: Final = ("exact-match", "macro-f1")
"""Those that baselines are scored on where the model writes text: they name labels and write no texts."""

LIKELIHOOD_METRICS: Final = ("bits-per-byte",)
"""Those that need the probability of a text and read no answer."""

TAG_METRICS: Final = ("entity-f1", "entity-precision", "entity-recall")
SET_METRICS: Final = ("multilabel-micro-f1", "multilabel-macro-f1")
NUMBER_METRICS: Final = ("mae", "rmse", "spearman", "pearson")
SPECIALIZED_METRICS: Final = frozenset((*LIKELIHOOD_METRICS, *TAG_METRICS, *SET_METRICS, *NUMBER_METRICS))
"""Those that read one kind of answer alone; the others read any text."""


DEFAULT_METRICS: Final[dict[str, tuple[str, ...]]] = {
    "chat": ("exact-match", "macro-f1", "chrf"),
    "classify": ("exact-match", "macro-f1"),
    "classify multi": (*SET_METRICS, "exact-match"),
    "classify score": NUMBER_METRICS,
    "seq2seq": ("chrf", "rouge-l", "exact-match"),
    "tag": TAG_METRICS,
    "text": LIKELIHOOD_METRICS,
}
"""By the task, and where they differ by its labels."""


def has_label_baselines(task: TaskSettings) -> bool:
    """Whether an answer is text or one label, so that baselines of labels can stand beside it."""
    return task.type in ("chat", "classify") and task.labels == "single"


def measures_base(task: TaskSettings) -> bool:
    """Whether the base is asked too: where a new head is needed for any answer, an untuned one says nothing."""
    return task.type != "tag" and task.labels == "single"


def metric_fits(metric: str, task: TaskSettings) -> bool:
    """Whether a metric can be measured on the answers of a task."""
    match task.type, task.labels:
        case "text", _:
            return metric in LIKELIHOOD_METRICS
        case "tag", _:
            return metric in (*TAG_METRICS, "exact-match")
        case "classify", "multi":
            return metric in (*SET_METRICS, "exact-match")
        case "classify", "score":
            return metric in NUMBER_METRICS
    return metric not in SPECIALIZED_METRICS


def available_baselines(task: TaskSettings) -> tuple[str, ...]:
    """The baselines that a task can have."""
    match task.type, task.labels:
        case "text", _:
            return ()
        case "seq2seq", _:
            return ("lead", "copy")
        case "tag", _:
            return ("majority", "frequent-tag")
        case "classify", "score":
            return ("mean", "tfidf-ridge")
    return ("majority", "tfidf-words", "tfidf-characters")


def default_metrics(task: TaskSettings) -> tuple[str, ...]:
    """Metric ids, the first one the headline."""
    return DEFAULT_METRICS.get(f"{task.type} {task.labels}") or DEFAULT_METRICS[task.type]
