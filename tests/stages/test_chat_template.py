"""A base without a chat template goes all the way under a template of the recipe, or is refused before anything is done."""

import json
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoTokenizer

from tunesmith import pipeline
from tunesmith.artifacts import message
from tunesmith.chat.encode import prompt_ids
from tunesmith.chat.vetted_templates import VETTED_TEMPLATES
from tunesmith.errors import RecipeError
from tunesmith.recipe import load_recipe
from tunesmith.serve.loaded_release import open_release
from tunesmith.trust.keys import load_public_pem, make_key

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[1] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)


def project(folder: Path, task: Any, method: str = "lora") -> Path:
    """A recipe over a base without a chat template."""
    if not (folder / "base").exists():
        fixtures_models.make_folder(folder / "base")
        (folder / "base" / "chat_template.jinja").unlink()
        make_key(folder / "release.pem")
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
        "name": "lamps",
        "base": "base",
        "task": task,
        "data": {"train": [{"path": "train.jsonl", **source}], "test": [{"path": "test.jsonl", **source}]},
        "audit": {"off": ["near-duplicate", "split-leakage"]},
        "train": {"method": method, "rank": 2, "rows_per_step": 8},
        "evaluate": {"metrics": ["exact-match"], "max_new_tokens": 4, "resamples": 200, "baselines": []},
        "gate": [{"metric": "exact-match", "at_least": 0.0}],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def test_without_the_key_nothing_is_done(tmp_path: Path) -> None:
    path = project(tmp_path, "chat")
    context = pipeline.open_context(path)
    with pytest.raises(RecipeError, match="the base base has no chat template") as caught:
        pipeline.run(load_recipe(path), context)
    assert "chat_template: NAME" in (caught.value.hint or "")
    assert context.store.ledger.ref("lamps/audit") is None
    context.store.ledger.close()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_template_is_trained_evaluated_released_and_served(tmp_path: Path, method: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.jinja").write_text(VETTED_TEMPLATES["plain"].text.replace("<|", "<|my_"))
    path = project(tmp_path, {"type": "chat", "chat_template": "own/mine.jinja"}, method)
    context = pipeline.open_context(path)
    result = pipeline.run(load_recipe(path), context)
    assert result.release is not None and result.train is not None and result.evaluation is not None
    assert result.train.mask_sample[0].startswith("<|begin|><|my_user|>\nis lamp")
    assert "<|my_assistant|>\n[[lamp" in result.train.mask_sample[0]
    folder = Path(result.release.folder)
    assert AutoTokenizer.from_pretrained(folder).chat_template.count("my_") == 2
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    assert recipe["task"]["chat_template"] == "chat_template.jinja"
    assert (folder / recipe["task"]["chat_template"]).is_file()
    base = json.loads((folder / "tunesmith.json").read_text())["base"]
    assert base["made_from"] != base["tree"] and base["prepared"][0] == "chat template of mine.jinja"
    assert "chat template of mine.jinja" in (folder / "README.md").read_text()
    released = open_release(folder, load_public_pem(tmp_path / "release.pem"), context=context)
    asked = (message("user", "is lamp 3 red?"),)
    tuned = AutoTokenizer.from_pretrained(context.store.checkout(result.train.model.tree))
    assert prompt_ids(released.model.tokenizer, asked) == prompt_ids(tuned, asked)
    assert tuned.decode(prompt_ids(tuned, asked)) == ("<|begin|><|my_user|>\nis lamp 3 red?<|end|>\n<|my_assistant|>\n")
    assert pipeline.run(load_recipe(path), context).reused == ("audit", "train", "evaluate", "gate", "release")
    (tmp_path / "own" / "mine.jinja").write_text(VETTED_TEMPLATES["plain"].text)
    assert pipeline.run(load_recipe(path), context, until="train").reused == ()
    context.store.ledger.close()


def test_an_adapter_is_served_over_the_base_as_it_came(tmp_path: Path) -> None:
    path = project(tmp_path, {"type": "chat", "chat_template": "plain"})
    context = pipeline.open_context(path)
    result = pipeline.run(load_recipe(path), context)
    assert result.release is not None and result.train is not None
    folder, raw = Path(result.release.folder), result.train.base.made_from
    key = load_public_pem(tmp_path / "release.pem")
    asked = (message("user", "is lamp 3 red?"),)
    with_base = open_release(folder, key, context=context).model
    expected = with_base.generate([prompt_ids(with_base.tokenizer, asked)], max_new_tokens=6)
    bare = tmp_path / "elsewhere"
    bare.mkdir()
    other = pipeline.open_context(bare / "recipe.yaml")
    assert other.store.put_tree(tmp_path / "base") == raw
    without = shutil.copytree(folder, tmp_path / "without")
    shutil.rmtree(without / "base")
    found = _serve_unsigned(without, other)
    assert found.generate([prompt_ids(found.tokenizer, asked)], max_new_tokens=6) == expected
    for one in (context, other):
        one.store.ledger.close()


def _serve_unsigned(folder: Path, context: Any) -> Any:
    """The model as the server opens it, without the check of a signature that a folder without its base cannot pass."""
    from tunesmith.models.backends.local import open_local
    from tunesmith.serve.loaded_release import TASK_FILE, _base_folder, _read_task_file

    base = _base_folder(folder, _read_task_file(folder / TASK_FILE), context)
    return open_local(folder, digest="sha256:x", base=base)
