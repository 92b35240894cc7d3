"""tunesmith.json and recipe.yaml: the machine-readable description of a release.

tunesmith.json, format 1:
    format      1
    name        name of the release; version: its number; content_key: digest of all inputs
    task        chat, classify, seq2seq, tag or text
    task_settings   task section of the recipe with all defaults
    problem     transformers' problem_type for classify on an encoder; else null
    instruction system message of every prompt, or for seq2seq the prefix of every source; or null
    labels      for classify with named labels: the labels, sorted, in the order of an encoder's logits; else null
    kind        model or adapter
    base        {name, tree}: name and digest of the {path: digest} manifest; a small base is included in base/. For a base
                that was modified for the recipe also `prepared`, the modifications, and `made_from`, the original digest
    precision   data types of the weights according to their headers
    evaluated_in    compute precision of the evaluation, fp32 or bf16; the server uses the same
    threads     CPU threads of the evaluation; the server uses the same number, since another changes the last bits
    max_new_tokens  answer limit of the evaluation in tokens
"""

import json
from typing import Any, Final, NamedTuple

import yaml

from tunesmith.artifacts import TrainReport
from tunesmith.chat.vetted_templates import VETTED_TEMPLATES
from tunesmith.models.tasks import AnyTask
from tunesmith.recipe import Recipe

FORMAT_VERSION: Final = 1
MANIFEST_FILE: Final = "tunesmith.json"
RECIPE_FILE: Final = "recipe.yaml"


class WeightPrecisions(NamedTuple):
    """`stored` is the data type of the weight files, `evaluated_in` the compute precision of the evaluation."""

    stored: str
    evaluated_in: str


def manifest_bytes(
    recipe: Recipe, train: TrainReport, *, version: int, content_key: str, task: AnyTask, precisions: WeightPrecisions
) -> bytes:
    """tunesmith.json as indented JSON with sorted keys."""
    value = {
        "format": FORMAT_VERSION,
        "name": recipe.name,
        "version": version,
        "content_key": content_key,
        "task": recipe.task.type,
        "instruction": recipe.task.instruction,
        "task_settings": recipe.task.model_dump(mode="json"),
        "problem": None if task.head is None else task.head.problem,
        "labels": list(task.labels) or None,
        "kind": train.model.kind,
        "base": {"name": train.base.name, "tree": train.base.tree, **_base_preparation(train)},
        "precision": precisions.stored,
        "evaluated_in": precisions.evaluated_in,
        "threads": train.threads,
        "max_new_tokens": recipe.evaluate.max_new_tokens,
    }
    return (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()


def _base_preparation(train: TrainReport) -> dict[str, Any]:
    base = train.base
    return {} if base.made_from is None else {"made_from": base.made_from, "prepared": list(base.prepared)}


def recipe_bytes(recipe: Recipe, train: TrainReport) -> bytes:
    """recipe.yaml as run, with all defaults and sorted keys, so that the same recipe gives the same bytes.

    A local base is given by its name, since its path is meaningless elsewhere. A chat template from a file points to the copy
    in the release.
    """
    value = recipe.model_dump(mode="json")
    if recipe.task.chat_template not in (None, *VETTED_TEMPLATES):
        value["task"]["chat_template"] = "chat_template.jinja"
    if train.base.is_local:
        value["base"] = train.base.name
    return yaml.safe_dump(value, sort_keys=True, allow_unicode=True, width=100).encode()
