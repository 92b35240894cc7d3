"""tunesmith.json and recipe.yaml: what a release says of itself to programs.

tunesmith.json, format 1:
    format      1
    name        of the release; version: its number; content_key: digest of everything it was made from
    task        chat, classify, seq2seq, tag or text
    task_settings   the recipe's task, every default written out
    problem     for classify on an encoder: transformers' problem_type; else null
    instruction the system message before every prompt, or with seq2seq the words before every source; or null
    labels      for classify with named labels: those there are, in the order of an encoder's logits, sorted; else null
    kind        model or adapter
    base        {name, tree}: its name and the digest of its {path: digest} manifest; a small one lies in base/. Of a base
                prepared for the recipe also what was done to it, `prepared`, and the digest of its own files, `made_from`
    precision   number types of the weights as their headers say
    evaluated_in    what the model computed in when it was evaluated, fp32 or bf16; the server takes the same
    threads     processor threads that it was evaluated with; the server takes as many, for another count changes the last bits
    max_new_tokens  the longest answer that was evaluated
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
    """How the weights are `stored`, as their headers say, and what the model was `evaluated_in`."""

    stored: str
    evaluated_in: str


def manifest_bytes(
    recipe: Recipe, train: TrainReport, *, version: int, content_key: str, task: AnyTask, precisions: WeightPrecisions
) -> bytes:
    """tunesmith.json: indented, keys sorted."""
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
    """The recipe as run, every default written out, keys sorted: the same recipe gives the same bytes.

    A base on the maker's machine stands there by its name and digest: its path means nothing to anybody else. A chat template
    from a file is the one that lies beside the recipe here.
    """
    value = recipe.model_dump(mode="json")
    if recipe.task.chat_template not in (None, *VETTED_TEMPLATES):
        value["task"]["chat_template"] = "chat_template.jinja"
    if train.base.is_local:
        value["base"] = train.base.name
    return yaml.safe_dump(value, sort_keys=True, allow_unicode=True, width=100).encode()
