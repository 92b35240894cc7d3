"""The command line inside this process, and small recipes to run it on."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tunesmith.cli.main import app

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "vocab_size": 300,
}
THINGS = ("kettle", "lamp", "scarf", "bicycle", "garden chair", "radio", "blue tent", "clock")


@dataclass(frozen=True)
class Outcome:
    """What a call of the command line came to."""

    code: int
    out: str
    err: str


def tunesmith(*arguments: str | Path) -> Outcome:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return Outcome(result.exit_code, result.stdout, result.stderr)


def rows(labels: tuple[str, ...] = ("refund", "delivery"), *, turn: int = 0) -> list[dict[str, str]]:
    """Labelled texts that share no run of words."""
    return [
        {"text": f"{thing} number {turn}{place} came to house {place * 7 + turn}", "label": labels[place % len(labels)]}
        for place, thing in enumerate(THINGS)
    ]


def write_rows(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture
def call() -> Callable[..., Outcome]:
    return tunesmith


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with a recipe, its rows and the config of a tiny base; tests spoil one of them."""
    write_rows(tmp_path / "rows.jsonl", rows())
    write_rows(tmp_path / "held-out.jsonl", rows(turn=3))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    recipe = {
        "name": "tiny",
        "base": {"config": "config.json", "tokenizer": {"train": 300}, "seed": 1},
        "task": "classify",
        "data": {"train": [{"path": "rows.jsonl"}], "test": [{"path": "held-out.jsonl"}]},
        "audit": {"off": ["missing-provenance", "unlicensed-source", "near-duplicate", "split-leakage"]},
        "train": {"method": "full", "rows_per_step": 4, "max_steps": 2},
        "evaluate": {"metrics": ["exact-match"], "resamples": 200},
        "gate": [{"metric": "exact-match", "at_least": 0.99}],
    }
    write_recipe(tmp_path, recipe)
    return tmp_path


def write_recipe(folder: Path, recipe: dict[str, Any]) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")
    return path


@pytest.fixture
def change(desk: Path) -> Callable[..., Path]:
    """Change keys of the recipe, e.g. `change(base="nowhere")`, and get its path."""

    def apply(**changes: Any) -> Path:
        recipe = json.loads((desk / "recipe.yaml").read_text(encoding="utf-8"))
        return write_recipe(desk, {**recipe, **changes})

    return apply
