"""All metrics, and those that a recipe selects."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from tunesmith.recipe.stages import EvaluateSettings
from tunesmith.scoring import metrics
from tunesmith.scoring.metric import METRICS, Metric


def metric_ids() -> tuple[str, ...]:
    """Ids of all metrics, third-party ones included."""
    METRICS.load(metrics)
    return tuple(METRICS)


def metric_class(name: str) -> type[Metric]:
    """The class of a metric. Raises Misuse with the nearest id for an unknown one."""
    METRICS.load(metrics)
    return METRICS.get(name)


def metrics_for(settings: EvaluateSettings, ids: Sequence[str]) -> tuple[Metric, ...]:
    """Metrics by id. A setting of a metric that is also a key of `evaluate:` takes its value from there."""
    return tuple(METRICS.build(name, **_metric_settings(metric_class(name), settings)) for name in ids)


def _metric_settings(metric: type[Metric], settings: EvaluateSettings) -> dict[str, Any]:
    recipe_keys = type(settings).model_fields
    names = [field.name for field in fields(metric) if field.name in recipe_keys]  # type: ignore[arg-type]
    return {name: getattr(settings, name) for name in names}
