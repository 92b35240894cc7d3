"""A release whose base is a folder of this machine names it by folder and digest; its path stands in no file."""

import base64
import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tunesmith import pipeline
from tunesmith.errors import RecipeError
from tunesmith.models.bases.resolve import resolve_base
from tunesmith.recipe import load_recipe
from tunesmith.trust.keys import make_key

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[1] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)

PLACE = "private-disk/of-the-maker"
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def project(folder: Path, base: str, method: str) -> Path:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"is lamp {n} red?"},
                {"role": "assistant", "content": f"lamp {n} is"},
            ]
        }
        for n in range(24)
    ]
    for name, part in (("train", rows[:16]), ("test", rows[16:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    source = {"license": "CC0-1.0", "origin": "made for this test", "basis": "contract"}
    recipe = {
        "name": method,
        "base": base,
        "task": "chat",
        "data": {"train": [{"path": "train.jsonl", **source}], "test": [{"path": "test.jsonl", **source}]},
        "audit": {"off": ["near-duplicate", "split-leakage"]},
        "train": {"method": method, "rank": 2, "rows_per_step": 8},
        "evaluate": {"metrics": ["exact-match"], "max_new_tokens": 4, "resamples": 200, "baselines": [], "shots": 0},
        "gate": [{"metric": "exact-match", "at_least": 0.0}],
    }
    (folder / f"{method}.yaml").write_text(yaml.safe_dump(recipe))
    return folder / f"{method}.yaml"


def everything(folder: Path) -> dict[str, bytes]:
    """Every file, and what the evidence holds in base64."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    envelopes = {name: json.loads(data) for name, data in found.items() if name.endswith(".dsse.json")}
    return found | {f"{name}, payload": base64.b64decode(one["payload"]) for name, one in envelopes.items()}


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_no_file_of_a_release_holds_the_path_of_its_base(method: str, relative: bool, tmp_path: Path) -> None:
    base = fixtures_models.make_folder(tmp_path / PLACE / "my-base")
    make_key(tmp_path / "release.pem")
    path = project(tmp_path, f"{PLACE}/my-base" if relative else str(base), method)
    context = pipeline.open_context(path)
    result = pipeline.run(load_recipe(path), context)
    assert result.release is not None and result.train is not None
    name = result.train.base.name
    assert name == f"local:my-base@{result.train.base.tree[:19]}"
    files = everything(Path(result.release.folder))
    assert len(files) > 20
    for place, data in files.items():
        for part in (PLACE, str(tmp_path), "private-disk"):
            assert part.encode() not in data, place
    assert yaml.safe_load(files["recipe.yaml"])["base"] == name
    assert json.loads(files["tunesmith.json"])["base"] == {"name": name, "tree": result.train.base.tree}
    assert name in files["README.md"].decode()
    head = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert "base_model" not in head
    trained = context.store.checkout(result.train.model.tree)
    assert not [one for one in trained.rglob("*") if one.is_file() and b"private-disk" in one.read_bytes()]
    if method == "lora":
        assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == name
        own = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        tuned: Any = PeftModel.from_pretrained(own, result.release.folder)
        ids = torch.tensor([[9, 10, 11]])
        with torch.no_grad(), tuned.disable_adapter():
            plain = tuned(input_ids=ids).logits
        assert not torch.equal(tuned(input_ids=ids).logits, plain)
    with pytest.raises(RecipeError, match="names a local base of another machine") as caught:
        resolve_base(name, context)
    assert caught.value.hint.startswith("write the path of that folder or file under `base`")
    context.store.ledger.close()
