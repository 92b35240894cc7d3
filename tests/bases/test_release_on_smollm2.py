"""SmolLM2 by its name of the catalogue: tuned, released, verified, and loaded where only the cache has the base."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tunesmith import pipeline
from tunesmith.recipe import parse_recipe
from tunesmith.serve.loaded_release import open_release
from tunesmith.trust.keys import make_key

NAME = "smollm2-135m-instruct"
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def recipe(folder: Path) -> Path:
    for name, first, count in (("train", 0, 8), ("test", 40, 2)):
        rows = [
            {
                "messages": [
                    {"role": "user", "content": f"say number {7 * n} of the box in room {n}"},
                    {"role": "assistant", "content": f"It is {7 * n}."},
                ]
            }
            for n in range(first, first + count)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"license": "CC0-1.0", "origin": "made for this test", "basis": "contract"}
    value = {
        "name": "boxes",
        "base": NAME,
        "task": "chat",
        "data": {"train": [{"path": "train.jsonl", **source}], "test": [{"path": "test.jsonl", **source}]},
        "audit": {"off": ["near-duplicate", "split-leakage"]},
        "train": {"method": "lora", "rank": 4, "rows_per_step": 8, "max_steps": 1, "precision": "fp32"},
        "evaluate": {"metrics": ["exact-match"], "max_new_tokens": 2, "resamples": 200, "baselines": [], "shots": 0},
        "gate": [{"metric": "exact-match", "at_least": 0.0}],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(value))
    return path


def test_a_release_on_smollm2_runs_wherever_its_base_is_in_the_cache(
    base_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    base = base_folder(NAME)
    signer = make_key(tmp_path / "release.pem")
    path = recipe(tmp_path)
    result = pipeline.run(parse_recipe(yaml.safe_load(path.read_text())), pipeline.open_context(path))
    assert result.release is not None
    folder = Path(result.release.folder)
    card = (folder / "README.md").read_text()
    assert "its weights were dequantised from Q4\\_1 (210 tensors) and Q8\\_0 (1) to bf16" in card
    assert "| Licence of the base | Apache-2.0, as stated by " in card

    elsewhere = pipeline.open_context(path, store=tmp_path / "another-store")
    served = open_release(folder, signer.public_pem(), context=elsewhere)
    ids = served.model.tokenizer("The box in the red room is empty.").input_ids
    (found,) = served.model.logprobs([ids[:3]], [ids[3:]])
    trunk = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, use_safetensors=True)
    tuned = PeftModel.from_pretrained(trunk, str(folder)).eval()
    with torch.no_grad():
        expected = tuned(torch.tensor([ids])).logits[0].log_softmax(-1)
    for place, value in enumerate(found, start=3):
        assert value == pytest.approx(float(expected[place - 1, ids[place]]), abs=1e-4)
