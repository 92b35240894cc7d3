"""What a model computes in: evaluated as it was trained unless the recipe says otherwise, recorded, and served in the same."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tunesmith import pipeline
from tunesmith.models.backends import local
from tunesmith.models.backends.local import LocalModel, open_local
from tunesmith.recipe import load_recipe
from tunesmith.serve.loaded_release import open_release
from tunesmith.trust.keys import load_public_pem, make_key

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[1] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def project(folder: Path, *, train: dict[str, Any], evaluate: dict[str, Any]) -> Path:
    """A recipe over the tiny Llama with a key to sign with."""
    fixtures_models.make_folder(folder / "base")
    make_key(folder / "release.pem")
    turns = [("user", "is lamp {} red?"), ("assistant", "lamp {} is")]
    rows = [{"messages": [{"role": role, "content": text.format(n)} for role, text in turns]} for n in range(24)]
    for name, part in (("train", rows[:16]), ("test", rows[16:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    source = {"license": "CC0-1.0", "origin": "made for this test", "basis": "contract"}
    asked = {"metrics": ["exact-match"], "max_new_tokens": 8, "resamples": 200, "baselines": [], "shots": 1}
    recipe = {
        "name": "lamps",
        "base": str(folder / "base"),
        "task": "chat",
        "data": {"train": [{"path": "train.jsonl", **source}], "test": [{"path": "test.jsonl", **source}]},
        "audit": {"off": ["near-duplicate", "split-leakage"]},
        "train": {"rank": 2, "rows_per_step": 8, **train},
        "evaluate": asked | evaluate,
        "gate": [{"metric": "exact-match", "at_least": 0.0}],
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder / "recipe.yaml"


@pytest.mark.parametrize(
    ("trained", "asked", "computed"),
    [("bf16", "training", "bf16"), ("bf16", "fp32", "fp32"), ("fp32", "training", "fp32"), ("fp32", "bf16", "bf16")],
)
def test_a_release_is_served_in_what_it_was_evaluated_in(
    trained: str, asked: str, computed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[torch.dtype] = []
    generate = LocalModel.generate

    def noted(self: LocalModel, *args: Any, **options: Any) -> list[list[int]]:
        used.append(next(self.model.parameters()).dtype)
        return generate(self, *args, **options)

    monkeypatch.setattr(LocalModel, "generate", noted)
    path = project(tmp_path, train={"method": "lora", "precision": trained}, evaluate={"precision": asked})
    context = pipeline.open_context(path)
    result = pipeline.run(load_recipe(path), context)
    assert result.train is not None and result.evaluation is not None and result.release is not None
    assert result.train.precision == trained
    assert result.evaluation.precision == computed
    assert set(used) == {DTYPES[computed]} and len(used) == 3
    folder = Path(result.release.folder)
    assert json.loads((folder / "tunesmith.json").read_text())["evaluated_in"] == computed
    assert f"evaluated and served in {computed}" in (folder / "README.md").read_text()
    key = load_public_pem(tmp_path / "release.pem")
    served = open_release(folder, key, context=context).model
    assert next(served.model.parameters()).dtype == DTYPES[computed]
    other = "fp32" if computed == "bf16" else "bf16"
    served = open_release(folder, key, context=context, precision=other).model
    assert next(served.model.parameters()).dtype == DTYPES[other]
    context.store.ledger.close()


def test_the_base_under_an_adapter_is_read_once_and_answers_as_it_does_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    load = local.load_folder
    monkeypatch.setattr(local, "load_folder", lambda folder, **more: read.append(folder) or load(folder, **more))
    train = {"method": "lora", "precision": "fp32", "epochs": 8, "learning_rate": 0.05}
    path = project(tmp_path, train=train, evaluate={})
    context = pipeline.open_context(path)
    result = pipeline.run(load_recipe(path), context, until="evaluate")
    assert result.train is not None and result.evaluation is not None
    assert len(read) == 1
    base = open_local(tmp_path / "base", digest="sha256:base")
    for sample in result.evaluation.samples:
        turns = [{"role": "user", "content": sample["prompt"]}]
        ids = base.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        (answer,) = base.generate([ids], max_new_tokens=8)
        assert base.tokenizer.decode(answer, skip_special_tokens=True).strip() == sample["base-plain"].strip()
        assert sample["tuned"] != sample["base-plain"]
    context.store.ledger.close()
