"""Classify on a tiny encoder, from rows to a signed release that transformers loads and the server serves."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import tunesmith
from tunesmith.artifacts import EvaluationReport
from tunesmith.errors import Refused
from tunesmith.recipe import Recipe
from tunesmith.serve.app import make_app
from tunesmith.train import TrainInputs
from tunesmith.train.preview import dry_run
from tunesmith.trust import make_key, verify_release

SPEC = spec_from_file_location("fixtures_encoders", Path(__file__).parents[1] / "fixtures_encoders.py")
fixtures = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures)

WORDS = {"order": "order", "refund": "money", "card": "card"}
FILLER = ("please", "by friday", "on tuesday", "the phone", "nobody answers")


def text_of(word: str, at: int) -> str:
    return f"{FILLER[at % 5]} {word} {FILLER[(at * 7 + 2) % 5]} {at}"


def write_rows(path: Path, count: int, *, first: int = 0) -> None:
    lines = [
        json.dumps({"text": text_of(word, at), "label": label})
        for at in range(first, first + count)
        for label, word in list(WORDS.items())
    ]
    path.write_text("\n".join(lines) + "\n")


def recipe(folder: Path, **train: Any) -> Recipe:
    fixtures.make_encoder(folder / "base")
    write_rows(folder / "train.jsonl", 24)
    write_rows(folder / "test.jsonl", 12, first=100)
    make_key(folder / "release.pem")
    rights = {"license": "CC0-1.0", "origin": "made for this test", "basis": "contract"}
    value = {
        "name": "queues",
        "base": "base",
        "task": "classify",
        "data": {"train": [{"path": "train.jsonl", **rights}], "test": [{"path": "test.jsonl", **rights}]},
        "audit": {"warn": ["near-duplicate", "split-leakage", "exact-duplicate"]},
        "train": {"method": "full", "epochs": 8, "learning_rate": 3e-3, "rows_per_step": 8, "seed": 3, **train},
        "evaluate": {"baselines": ["majority", "tfidf-words"]},
        "gate": [{"metric": "exact-match", "better_than": "majority", "by": 0.3}],
        "release": {"license": "CC0-1.0"},
    }
    return Recipe.model_validate(value)


def run(folder: Path, wanted: Recipe, **how: Any) -> Any:
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(wanted.model_dump(mode="json")))
    return tunesmith.run(wanted, tunesmith.open_context(path), **how)


def value_of(report: EvaluationReport, system: str, metric: str) -> float:
    (found,) = [one for one in report.systems if one.system == system]
    return next(one.value for one in found.estimates if one.metric == metric)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
@pytest.mark.parametrize("method", ["full", "lora"])
def test_from_rows_to_a_release_that_transformers_loads(tmp_path: Path, method: str) -> None:
    wanted = recipe(tmp_path, method=method, rank=4, head_learning_rate=1e-2)
    done = run(tmp_path, wanted)
    report = done.evaluation
    assert [system.system for system in report.systems] == ["tuned", "base-frozen", "majority", "tfidf-words"]
    assert value_of(report, "tuned", "exact-match") > 0.9
    assert value_of(report, "majority", "exact-match") == pytest.approx(1 / 3)
    assert done.train.supervised_tokens == done.train.rows * 8
    assert done.train.mask_sample[0].endswith("[[order]]")
    folder = Path(done.release.folder)
    public = (folder / "release.pub").read_bytes()
    assert verify_release(folder, public).name == "queues"
    card = (folder / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card and "AutoModelForSequenceClassification" in card
    if method == "full":
        model = AutoModelForSequenceClassification.from_pretrained(folder)
        assert model.config.id2label == {0: "card", 1: "order", 2: "refund"}
        assert model.config.problem_type == "single_label_classification"
    else:
        base = AutoModelForSequenceClassification.from_pretrained(folder / "base", num_labels=3)
        model = PeftModel.from_pretrained(base, folder).eval()
    with TestClient(make_app(folder, public, context=tunesmith.open_context(tmp_path / "recipe.yaml"))) as client:
        check_served(client, model, AutoTokenizer.from_pretrained(folder))


def check_served(client: TestClient, model: Any, tokenizer: Any) -> None:
    """The server's scores are transformers' own, and what it cannot take is refused as the other routes do."""
    texts = ["please order by friday", "nobody answers the phone money money money please"]
    said = client.post("/v1/classify", json={"model": "queues", "input": texts}).json()
    assert said["model"] == "queues:1" and said["object"] == "list"
    names = ["card", "order", "refund"]
    for text, found in zip(texts, said["data"], strict=True):
        with torch.no_grad():
            own = model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(0)
        scores = {one["label"]: one["score"] for one in found["scores"]}
        assert scores == pytest.approx(dict(zip(names, own.tolist(), strict=True)), abs=1e-5)
        assert found["answer"] == names[int(own.argmax())] == found["scores"][0]["label"]
    assert said["usage"]["prompt_tokens"] == sum(len(tokenizer(text)["input_ids"]) for text in texts)
    assert len(client.post("/v1/classify", json={"model": "queues:1", "input": "order", "top": 1}).json()["data"]) == 1
    for body, code in (
        ({"model": "other", "input": "order"}, "model_not_found"),
        ({"model": "queues", "input": "order " * 300}, "context_length_exceeded"),
        ({"model": "queues", "input": []}, None),
        ({"model": "queues", "input": ["order"] * 257}, None),
        ({"model": "queues", "input": "   "}, None),
        ({"model": "queues", "input": "x", "temperature": 1}, None),
    ):
        refused = client.post("/v1/classify", json=body)
        assert refused.status_code in (400, 404) and refused.json()["error"]["code"] == code, body
    for value, param, why in (
        (["order", ""], "input.1", "at least 1 character"),
        (["order"] * 257, "input", "at most 256 items"),
        ([], "input", "at least 1 item"),
        (["order", 5], "input.1", "valid string"),
        (5, "input", "valid string"),
    ):
        told = client.post("/v1/classify", json={"model": "queues", "input": value}).json()["error"]
        assert told["param"] == param and why in told["message"], told
    chat = {"model": "queues", "messages": [{"role": "user", "content": "order"}]}
    assert client.post("/v1/chat/completions", json=chat).status_code == 404


def test_a_dry_run_shows_what_is_predicted(tmp_path: Path) -> None:
    wanted = recipe(tmp_path)
    audited = run(tmp_path, wanted, until="audit").audit
    context = tunesmith.open_context(tmp_path / "recipe.yaml")
    preview = dry_run(TrainInputs(audited.train, wanted.base, wanted.task), wanted.train, context)
    assert preview.rejected == () and not preview.shares
    assert preview.steps == 72 and preview.trained_tokens == 576
    (shown, target) = preview.examples[0].pieces
    assert "order" in shown.text and shown.weight == 0 and (target.text, target.weight) == ("order", 1)
    assert preview.tokens <= preview.computed_tokens < 1.5 * preview.tokens


def test_a_label_that_no_training_row_has_blocks(tmp_path: Path) -> None:
    wanted = recipe(tmp_path)
    with (tmp_path / "test.jsonl").open("a") as file:
        file.write(json.dumps({"text": "a parcel", "label": "parcel"}) + "\n")
    with pytest.raises(Refused, match="unknown-test-label"):
        run(tmp_path, wanted, until="train")
