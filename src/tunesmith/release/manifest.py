"""tunesmith.json and recipe.yaml: what a release says of itself to programs.

tunesmith.json, format 1:
    format      1
    name        of the release; version: its number; content_key: digest of everything it was made from
    task        chat, classify or text
    instruction the system message that stands before every prompt, or null
    labels      for classify: the answers there are, sorted; else null
    kind        model or adapter
    base        {name, tree}: its name and the digest of its {path: digest} manifest; a small one lies in base/
    precision   number types of the weights as their headers say
    max_new_tokens  the longest answer that was evaluated
"""

import json
from collections.abc import Sequence
from typing import Final

import yaml

from tunesmith.artifacts import TrainReport
from tunesmith.recipe import Recipe

FORMAT: Final = 1
MANIFEST: Final = "tunesmith.json"
RECIPE: Final = "recipe.yaml"


def manifest_bytes(
    recipe: Recipe, train: TrainReport, *, version: int, content_key: str, labels: Sequence[str] | None, precision: str
) -> bytes:
    """tunesmith.json: indented, keys sorted."""
    value = {
        "format": FORMAT,
        "name": recipe.name,
        "version": version,
        "content_key": content_key,
        "task": recipe.task.type,
        "instruction": recipe.task.instruction,
        "labels": None if labels is None else list(labels),
        "kind": train.model.kind,
        "base": {"name": train.base.name, "tree": train.base.tree},
        "precision": precision,
        "max_new_tokens": recipe.evaluate.max_new_tokens,
    }
    return (json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()


def recipe_bytes(recipe: Recipe, train: TrainReport) -> bytes:
    """The recipe as run, every default written out, keys sorted: the same recipe gives the same bytes.

    A base on the maker's machine stands there by its name and digest: its path means nothing to anybody else.
    """
    value = recipe.model_dump(mode="json")
    if train.base.is_local:
        value["base"] = train.base.name
    return yaml.safe_dump(value, sort_keys=True, allow_unicode=True, width=100).encode()
