"""The catalogue: which metrics there are, and where their settings come from."""

from dataclasses import fields

import pytest

from tunesmith.errors import Misuse
from tunesmith.recipe.stages import EvaluateSettings
from tunesmith.registry import signature
from tunesmith.scoring import metric_class, metric_ids, metrics_for

METRICS = (
    *(
        "bits-per-byte",
        "chrf",
        "entity-f1",
        "entity-precision",
        "entity-recall",
        "exact-match",
        "field-accuracy",
        "macro-f1",
    ),
    *("mae", "multilabel-macro-f1", "multilabel-micro-f1", "pearson", "rmse", "rouge-l", "spearman", "valid-json"),
)


def test_all_metrics_are_listed() -> None:
    assert metric_ids() == METRICS


def test_settings_come_from_the_recipe() -> None:
    settings = EvaluateSettings(label="queue", fields=("order", "date"), level=0.9, resamples=300)
    made = metrics_for(settings, ("macro-f1", "field-accuracy", "exact-match"))
    assert [signature(metric) for metric in made] == [
        "id=macro-f1|version=1|label='queue'|level=0.9|resamples=300",
        "id=field-accuracy|version=1|fields=('order', 'date')|level=0.9|resamples=300",
        "id=exact-match|version=1|label='queue'|level=0.9",
    ]


@pytest.mark.parametrize("name", METRICS)
def test_defaults_of_a_metric_are_those_of_the_recipe(name: str) -> None:
    recipe = EvaluateSettings()
    defaults = {field.name: field.default for field in fields(metric_class(name))}
    assert defaults == {setting: getattr(recipe, setting) for setting in defaults}


def test_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(Misuse, match="did you mean 'exact-match'"):
        metrics_for(EvaluateSettings(), ("exact-mach",))
