"""YAML front matter of the model card as the Hugging Face Hub reads it (huggingface_hub 2.4, ModelCardData).

`verified` is never set, since anyone can set it. Each value has n, an interval and the digest of its per-example scores.
"""

import re
from pathlib import PurePosixPath
from typing import Any

import yaml

from tunesmith.artifacts import Estimate, EvaluationReport, TrainReport
from tunesmith.models.heads import HUB_TASKS, TaskHead
from tunesmith.recipe import HubBase, NewBase, Recipe
from tunesmith.release.gate import TUNED_SYSTEM

_PLAIN_LICENSE = re.compile(r"[A-Za-z0-9.+-]+")


def front_matter(
    recipe: Recipe, train: TrainReport, evaluation: EvaluationReport, *, head: TaskHead | None = None
) -> str:
    """YAML without the `---` lines. Keys without a value are omitted, except the licence, which becomes `unknown`.

    A local base is not set as `base_model`, because the Hub would look up that name.
    """
    pipeline = "text-generation" if head is None else HUB_TASKS[head.kind]
    values: dict[str, Any] = {
        **_license_keys(recipe.release.license),
        "library_name": "peft" if train.model.kind == "adapter" else "transformers",
        "pipeline_tag": pipeline,
        "tags": ["tunesmith", "sft", train.method],
        **_base_keys(recipe, train),
        "datasets": sorted({PurePosixPath(source.path or source.croissant or "").name for source in recipe.data.train}),
        "model-index": [{"name": recipe.name, "results": _metric_results(recipe, evaluation, pipeline)}],
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)


def _license_keys(license: str | None) -> dict[str, str]:
    """The Hub accepts one lower-case licence id. An expression is written as `other` with its text as the name."""
    if not license:
        return {"license": "unknown"}
    if _PLAIN_LICENSE.fullmatch(license) and not license.startswith("LicenseRef-"):
        return {"license": license.lower()}
    return {"license": "other", "license_name": license}


def _base_keys(recipe: Recipe, train: TrainReport) -> dict[str, str]:
    if isinstance(recipe.base, NewBase) or train.base.is_local:
        return {}
    origin = train.base.origin
    named = recipe.base.hub if isinstance(recipe.base, HubBase) else train.base.name
    name = named if origin is None or origin.hub is None else origin.hub
    return {"base_model": name, "base_model_relation": "adapter" if train.model.kind == "adapter" else "finetune"}


def _metric_results(recipe: Recipe, evaluation: EvaluationReport, pipeline: str) -> list[dict[str, Any]]:
    tuned = [system for system in evaluation.systems if system.system == TUNED_SYSTEM]
    metrics = [
        {
            "type": estimate.metric,
            "name": estimate.metric,
            "value": estimate.value,
            "args": {
                "n": estimate.n,
                "ci": [estimate.low, estimate.high],
                "level": estimate.level,
                "signature": estimate.signature,
                "evidence": system.scores,
            },
        }
        for system in tuned
        for estimate in system.estimates
        if isinstance(estimate, Estimate)
    ]
    if not metrics:
        return []
    dataset = {
        "name": evaluation.test.name,
        "type": evaluation.test.name,
        "split": "test",
        "revision": evaluation.test.rows_digest,
    }
    return [{"task": {"type": pipeline, "name": recipe.task.type}, "dataset": dataset, "metrics": metrics}]
