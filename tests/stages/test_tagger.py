"""Tags on a tiny encoder, from a .conll file to a signed release that transformers loads and the server serves."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from transformers import AutoModelForTokenClassification, AutoTokenizer

import tunesmith
from tunesmith.recipe import Recipe
from tunesmith.scoring.entities import find_entities
from tunesmith.serve.app import make_app
from tunesmith.trust import make_key

SPEC = spec_from_file_location("fixtures_encoders", Path(__file__).parents[1] / "fixtures_encoders.py")
fixtures = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures)

NAMES, FIRMS, REST = ("Anna", "Erik", "Berg"), ("Acme", "Lund"), ("wrote", "to", "the", "phone", "of", "order")


def write_conll(path: Path, count: int, *, first: int, odd: int = 10**9) -> None:
    """Sentences of a name of one or two words, a firm, and other words; in every `odd`-th the firm is called a person."""
    blocks = []
    for at in range(first, first + count):
        words = [(REST[at % 6], "O"), (NAMES[at % 3], "B-person")]
        words += [(NAMES[(at + 1) % 3], "I-person")] * (at % 2) + [
            (REST[at % 5], "O"),
            (FIRMS[at // 2 % 2], "B-person" if at % odd == odd - 1 else "B-firm"),
        ]
        words += [(f"{at}", "O")]
        blocks.append("\n".join(f"{word}\t{tag}" for word, tag in words))
    path.write_text("\n\n".join(blocks) + "\n")


def recipe(folder: Path) -> Recipe:
    fixtures.make_encoder(folder / "base", "roberta")
    write_conll(folder / "train.conll", 60, first=0)
    write_conll(folder / "test.conll", 30, first=200, odd=9)
    make_key(folder / "release.pem")
    rights = {"license": "CC0-1.0", "origin": "made for this test", "basis": "contract"}
    return Recipe.model_validate(
        {
            "name": "names",
            "base": "base",
            "task": "tag",
            "data": {"train": [{"path": "train.conll", **rights}], "test": [{"path": "test.conll", **rights}]},
            "audit": {"warn": ["near-duplicate", "split-leakage", "exact-duplicate", "personal-data"]},
            "train": {"method": "full", "epochs": 6, "learning_rate": 3e-3, "rows_per_step": 6, "seed": 3},
            "gate": [{"metric": "entity-f1", "better_than": "majority", "by": 0.3}],
            "release": {"license": "CC0-1.0"},
        }
    )


def test_from_a_conll_file_to_a_release_that_transformers_loads(tmp_path: Path) -> None:
    wanted = recipe(tmp_path)
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(wanted.model_dump(mode="json")))
    done = tunesmith.run(wanted, tunesmith.open_context(path))
    report = done.evaluation
    assert [system.system for system in report.systems] == ["tuned", "majority", "frequent-tag"]
    values = {system.system: {one.metric: one for one in system.estimates} for system in report.systems}
    assert list(values["tuned"]) == ["entity-f1", "entity-precision", "entity-recall"]
    assert values["frequent-tag"]["entity-f1"].value < 0.9 < values["tuned"]["entity-f1"].value
    types = {line.kind: line for line in report.entity_types}
    assert list(types) == ["firm", "person"] and sum(line.support for line in types.values()) == 30 + 30
    counted = [sum(getattr(line, name) for line in types.values()) for name in ("right", "predicted", "support")]
    assert 2 * counted[0] / (counted[1] + counted[2]) == pytest.approx(values["tuned"]["entity-f1"].value, abs=1e-9)
    page = done.page.read_text()
    assert "The tuned model by type of entity" in page and '<td class="lead">person</td>' in page
    assert "[[B-firm]]" in done.train.mask_sample[0] and done.train.supervised_tokens == 6 * sum(
        5 + at % 2 for at in range(60)
    )
    folder = Path(done.release.folder)
    assert "pipeline_tag: token-classification" in (folder / "README.md").read_text()
    model = AutoModelForTokenClassification.from_pretrained(folder)
    assert list(model.config.id2label.values()) == ["B-firm", "B-person", "I-person", "O"]
    context = tunesmith.open_context(path)
    with TestClient(make_app(folder, (folder / "release.pub").read_bytes(), context=context)) as client:
        check_served(client, model, AutoTokenizer.from_pretrained(folder))


def check_served(client: TestClient, model: Any, tokenizer: Any) -> None:
    """Tags and scores are transformers' own at the first token of each word."""
    said = client.post(
        "/v1/tag", json={"model": "names", "input": ["to Erik Berg to Acme 1", ["Erik", "wrote"]]}
    ).json()
    assert [found["words"] for found in said["data"]] == [["to", "Erik", "Berg", "to", "Acme", "1"], ["Erik", "wrote"]]
    for found in said["data"]:
        made = tokenizer(found["words"], is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            own = model(**made).logits[0].softmax(-1)
        for word, (tag, score) in enumerate(zip(found["tags"], found["scores"], strict=True)):
            place = made.word_ids().index(word)
            assert model.config.id2label[int(own[place].argmax())] == tag
            assert score == pytest.approx(float(own[place].max()), abs=1e-5)
        spelled = find_entities(found["tags"], "lenient")
        assert [(one["type"], one["start"], one["end"]) for one in found["entities"]] == spelled
    assert {"type": "firm", "start": 4, "end": 5, "text": "Acme"} in said["data"][0]["entities"]
    for wrong in ([], "Anna", [[]], ["   "], [["a"] * 300], [["a"] * 100_001]):
        assert client.post("/v1/tag", json={"model": "names", "input": wrong}).status_code == 400
