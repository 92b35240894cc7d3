"""Seq2seq on tiny encoder-decoders, from rows to a signed release that transformers loads and the server serves."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from peft import PeftModel
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig

import tunesmith
from tunesmith.errors import RecipeError, Refused
from tunesmith.recipe import Recipe
from tunesmith.serve.app import make_app
from tunesmith.serve.chat_session import ChatSession
from tunesmith.serve.loaded_release import open_release
from tunesmith.train import TrainInputs
from tunesmith.train.preview import dry_run
from tunesmith.trust import make_key, verify_release

SPEC = spec_from_file_location("fixtures_encoders", Path(__file__).parents[1] / "fixtures_encoders.py")
fixtures = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures)

THINGS = ("order", "kettle", "card", "phone")
WHEN = ("on tuesday", "by friday", "please")


def write_rows(path: Path, count: int, *, first: int) -> None:
    """The target names the thing in the source."""
    lines = []
    for at in range(first, first + count):
        thing, when = THINGS[at % 4], WHEN[at // 4 % 3]
        source = f"where is the {thing} {when} {at}"
        lines.append(json.dumps({"source": source, "target": f"the {thing}"}))
    path.write_text("\n".join(lines) + "\n")


def recipe(folder: Path, family: str = "t5", **train: Any) -> Recipe:
    fixtures.make_seq2seq(folder / "base", family)
    write_rows(folder / "train.jsonl", 96, first=0)
    write_rows(folder / "test.jsonl", 36, first=1000)
    make_key(folder / "release.pem")
    rights = {"license": "CC0-1.0", "origin": "made for this test", "basis": "contract"}
    columns = {"columns": {"prompt": "source", "completion": "target"}, "format": "prompt-completion"}
    value = {
        "name": "short",
        "base": "base",
        "task": {"type": "seq2seq", "instruction": "order:"},
        "data": {
            "train": [{"path": "train.jsonl", **columns, **rights}],
            "test": [{"path": "test.jsonl", **columns, **rights}],
        },
        "audit": {"warn": ["near-duplicate", "split-leakage", "exact-duplicate"]},
        "train": {"method": "full", "epochs": 10, "learning_rate": 5e-3, "rows_per_step": 12, "seed": 3, **train},
        "evaluate": {"max_new_tokens": 12, "batch": 7},
        "gate": [{"metric": "rouge-l", "better_than": "copy", "by": 5}, {"metric": "rouge-l", "better_than": "base"}],
        "release": {"license": "CC0-1.0"},
    }
    return Recipe.model_validate(value)


def run(folder: Path, wanted: Recipe, **how: Any) -> Any:
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(wanted.model_dump(mode="json")))
    return tunesmith.run(wanted, tunesmith.open_context(path), **how)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize(
    ("family", "method"), [("t5", "full"), ("t5-gated", "lora"), ("bart", "full"), ("bart", "lora")]
)
def test_from_rows_to_a_release_that_transformers_loads(tmp_path: Path, family: str, method: str) -> None:
    wanted = recipe(tmp_path, family, method=method, rank=16, alpha=64)
    done = run(tmp_path, wanted)
    report = done.evaluation
    assert [system.system for system in report.systems] == ["tuned", "base-plain", "lead", "copy"]
    values = {one.system: {found.metric: found for found in one.estimates} for one in report.systems}
    assert list(values["tuned"]) == ["chrf", "rouge-l", "exact-match"]
    rouge = {system: found["rouge-l"].value for system, found in values.items()}
    assert rouge["tuned"] > 60 > rouge["copy"] > rouge["lead"] and values["lead"]["exact-match"].value == 0
    assert done.train.mask_sample[0].startswith("order") or "order" in done.train.mask_sample[0]
    assert "[[" in done.train.mask_sample[0] and done.train.rows == 96
    folder = Path(done.release.folder)
    public = (folder / "release.pub").read_bytes()
    assert verify_release(folder, public).name == "short"
    card = (folder / "README.md").read_text()
    assert "pipeline_tag: text2text-generation" in card and "AutoModelForSeq2SeqLM" in card
    assert "| Words before every source | order: |" in card
    config = GenerationConfig.from_pretrained(folder)
    assert (config.max_new_tokens, config.num_beams, config.forced_eos_token_id) == (12, 1, None)
    if method == "full":
        model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    else:
        model = PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(folder / "base"), folder).eval()
        model.get_base_model().generation_config = config
        assert "model.get_base_model().generation_config = GenerationConfig.from_pretrained(folder)" in card
    tokenizer = AutoTokenizer.from_pretrained(folder)
    said = {}
    for sample in report.samples:
        source = tokenizer(f"order: {sample['prompt']}", return_tensors="pt").input_ids
        made = model.generate(input_ids=source)
        said[sample["prompt"]] = tokenizer.decode(made[0], skip_special_tokens=True)
        assert said[sample["prompt"]] == sample["tuned"]
    context = tunesmith.open_context(tmp_path / "recipe.yaml")
    with TestClient(make_app(folder, public, context=context)) as client:
        check_served(client, said, tokenizer)
    conversation = ChatSession(open_release(folder, public, context=context), 12)
    prompt, answer = next(iter(said.items()))
    assert "".join(conversation.say(prompt)) == answer and not conversation.turns


def check_served(client: TestClient, said: dict[str, str], tokenizer: Any) -> None:
    """The answers are those of the evaluation, whole, streamed and as a chat of one turn; what cannot be taken is refused."""
    prompts = list(said)
    body = {"model": "short", "prompt": prompts}
    found = client.post("/v1/completions", json=body).json()
    assert found["object"] == "text_completion" and found["model"] == "short:1"
    assert [one["text"] for one in found["choices"]] == list(said.values())
    assert [one["index"] for one in found["choices"]] == list(range(len(prompts)))
    tokens = sum(len(tokenizer(f"order: {text}").input_ids) for text in prompts)
    assert found["usage"]["prompt_tokens"] == tokens
    one = {"model": "short:1", "prompt": prompts[0]}
    with client.stream("POST", "/v1/completions", json={**one, "stream": True}) as told:
        events = [line.removeprefix("data: ") for line in told.iter_lines() if line]
    assert events[-1] == "[DONE]"
    assert "".join(json.loads(event)["choices"][0]["text"] for event in events[:-1]) == said[prompts[0]]
    chat = {"model": "short", "messages": [{"role": "user", "content": prompts[0]}]}
    answer = client.post("/v1/chat/completions", json=chat).json()["choices"][0]
    assert answer["message"]["content"] == said[prompts[0]]
    short = client.post("/v1/completions", json={**one, "max_tokens": 1}).json()
    assert short["choices"][0]["finish_reason"] == "length" and short["usage"]["completion_tokens"] == 1
    stopped = client.post("/v1/completions", json={**one, "stop": said[prompts[0]][2:5]}).json()["choices"][0]
    assert stopped == {"index": 0, "text": said[prompts[0]][:2], "logprobs": None, "finish_reason": "stop"}
    for wrong, code in (
        ({"model": "other", "prompt": "x"}, "model_not_found"),
        ({"model": "short", "prompt": ["x", "order " * 300]}, "context_length_exceeded"),
        ({"model": "short", "prompt": "  "}, None),
        ({"model": "short", "prompt": []}, None),
        ({"model": "short", "prompt": "x", "n": 2}, "unsupported_value"),
        ({"model": "short", "prompt": "x", "frobnicate": 1}, None),
        ({"model": "short", "prompt": "x", "max_tokens": True}, None),
        ({"model": "short", "prompt": "x", "temperature": "0"}, None),
        ({"model": "short", "prompt": "x", "stream": "yes"}, None),
    ):
        refused = client.post("/v1/completions", json=wrong)
        assert refused.status_code in (400, 404) and refused.json()["error"]["code"] == code, wrong
    refused = client.post("/v1/completions", json={"model": "short", "prompt": ["x", "order " * 300], "stream": True})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "prompt.1"
    system = {"model": "short", "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]}
    assert client.post("/v1/chat/completions", json=system).status_code == 400


def test_a_dry_run_shows_both_sides(tmp_path: Path) -> None:
    wanted = recipe(tmp_path)
    audited = run(tmp_path, wanted, until="audit").audit
    context = tunesmith.open_context(tmp_path / "recipe.yaml")
    preview = dry_run(TrainInputs(audited.train, wanted.base, wanted.task), wanted.train, context)
    assert preview.rejected == () and not preview.shares and preview.steps == 80
    source, target = preview.examples[0].pieces
    assert "order" in source.text and source.weight == 0 and target.weight == 1 and target.text.endswith("[SEP]")
    assert preview.tokens <= preview.computed_tokens < 1.5 * preview.tokens


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"task": {"type": "chat"}, "gate": [{"metric": "chrf", "at_least": 1}]}, "needs a decoder"),
        ({"gate": [{"metric": "chrf", "better_than": "majority"}]}, "the baseline majority does not fit task: seq2seq"),
        ({"evaluate": {"metrics": ["entity-f1"]}}, "entity-f1 does not fit task: seq2seq"),
        ({"train": {"rows_per_step": 2, "head_learning_rate": 1e-3}}, "has no separate head to train"),
        ({"train": {"rows_per_step": 2, "add_tokens": ["<x>"]}}, "added only to a decoder"),
        (
            {"evaluate": {"max_new_tokens": 4000}},
            "answers of 4,000 tokens are requested; this model generates at most 256",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_training(tmp_path: Path, changed: dict[str, Any], why: str) -> None:
    value = recipe(tmp_path).model_dump(mode="json") | changed
    with pytest.raises(RecipeError, match=why):
        run(tmp_path, Recipe.model_validate(value))


def test_rows_too_long_on_one_side_are_told(tmp_path: Path) -> None:
    """The tokenizer takes 256 tokens: 200 and 200 are fine, 300 on either side are found by the audit."""
    wanted = recipe(tmp_path)
    with (tmp_path / "train.jsonl").open("a") as file:
        for source, target in ((200, 200), (300, 2), (2, 300)):
            file.write(json.dumps({"source": "order " * source, "target": "card " * target}) + "\n")
    value = wanted.model_dump(mode="json") | {"audit": {**wanted.audit.model_dump(mode="json"), "block": ["over-long"]}}
    with pytest.raises(Refused, match=r"over-long.*blocking findings: over-long 2"):
        run(tmp_path, Recipe.model_validate(value), until="train")
