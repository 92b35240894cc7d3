"""The metrics and baselines that fit each task, and the defaults of a recipe that names none."""

from typing import Final

from tunesmith.recipe import TaskSettings

LABEL_METRICS: Final = ("exact-match", "macro-f1")
"""Metrics for baselines of labels, which predict a label and write no text."""

LIKELIHOOD_METRICS: Final = ("bits-per-byte",)
"""Metrics of the probability of a text; they read no output."""

TAG_METRICS: Final = ("entity-f1", "entity-precision", "entity-recall")
SET_METRICS: Final = ("multilabel-micro-f1", "multilabel-macro-f1")
NUMBER_METRICS: Final = ("mae", "rmse", "spearman", "pearson")
SPECIALIZED_METRICS: Final = frozenset((*LIKELIHOOD_METRICS, *TAG_METRICS, *SET_METRICS, *NUMBER_METRICS))
"""Metrics for one kind of answer; all others read any text."""


DEFAULT_METRICS: Final[dict[str, tuple[str, ...]]] = {
    "chat": ("exact-match", "macro-f1", "chrf"),
    "classify": ("exact-match", "macro-f1"),
    "classify multi": (*SET_METRICS, "exact-match"),
    "classify score": NUMBER_METRICS,
    "seq2seq": ("chrf", "rouge-l", "exact-match"),
    "tag": TAG_METRICS,
    "text": LIKELIHOOD_METRICS,
}
"""Metric ids by task type, or by task type and labels; the first is the headline."""


def has_label_baselines(task: TaskSettings) -> bool:
    """Whether an answer is a text or one label, so that baselines of labels can be compared with it."""
    return task.type in ("chat", "classify") and task.labels == "single"


def measures_base(task: TaskSettings) -> bool:
    """Whether the untuned base is measured too; not where answers need a new head, which is random before training."""
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
    """The baselines that fit a task."""
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
    """The default metric ids of a task, the headline first."""
    return DEFAULT_METRICS.get(f"{task.type} {task.labels}") or DEFAULT_METRICS[task.type]
