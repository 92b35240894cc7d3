"""Several labels a row, and a number a row, on a tiny encoder: trained, compared with baselines, and served."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from transformers import AutoModelForSequenceClassification

import tunesmith
from tunesmith.recipe import Recipe
from tunesmith.serve.app import make_app
from tunesmith.trust import make_key

SPEC = spec_from_file_location("fixtures_encoders", Path(__file__).parents[1] / "fixtures_encoders.py")
fixtures = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures)

WORDS = ("order", "money", "card")


def row(at: int, kind: str) -> dict[str, Any]:
    """Words of a text are its labels; or their number is its score, with a little noise."""
    chosen = [word for place, word in enumerate(WORDS) if (at >> place) & 1] or ["phone"]
    text = f"{' '.join(chosen)} on tuesday {at}"
    if kind == "multi":
        return {"text": text, "labels": [word for word in chosen if at % 11] or ["phone"]}
    return {"text": text, "label": f"{len([word for word in chosen if word in WORDS]) + at % 3 / 10:g}"}


def recipe(folder: Path, kind: str) -> Recipe:
    fixtures.make_encoder(folder / "base", "distilbert")
    for name, first, count in (("train", 0, 64), ("test", 200, 40)):
        lines = [json.dumps(row(at, kind)) for at in range(first, first + count)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    make_key(folder / "release.pem")
    rights = {"license": "CC0-1.0", "origin": "made for this test", "basis": "contract"}
    headline = {"multi": "multilabel-micro-f1", "score": "mae"}[kind]
    return Recipe.model_validate(
        {
            "name": "words",
            "base": "base",
            "task": {"type": "classify", "labels": kind},
            "data": {"train": [{"path": "train.jsonl", **rights}], "test": [{"path": "test.jsonl", **rights}]},
            "audit": {"warn": ["near-duplicate", "split-leakage", "exact-duplicate"]},
            "train": {"method": "full", "epochs": 12, "learning_rate": 3e-3, "rows_per_step": 8, "seed": 3},
            "gate": [{"metric": headline, "better_than": {"multi": "majority", "score": "mean"}[kind]}],
            "release": {"license": "CC0-1.0"},
        }
    )


@pytest.mark.parametrize("kind", ["multi", "score"])
def test_from_rows_to_a_served_release(tmp_path: Path, kind: str) -> None:
    wanted = recipe(tmp_path, kind)
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(wanted.model_dump(mode="json")))
    done = tunesmith.run(wanted, tunesmith.open_context(path))
    values = {
        one.system: {found.metric: getattr(found, "value", 0.0) for found in one.estimates}
        for one in done.evaluation.systems
    }
    folder = Path(done.release.folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    context = tunesmith.open_context(path)
    with TestClient(make_app(folder, (folder / "release.pub").read_bytes(), context=context)) as client:
        said = client.post("/v1/classify", json={"model": "words", "input": "order money on tuesday 3"}).json()["data"][
            0
        ]
    if kind == "multi":
        assert list(values) == ["tuned", "majority", "tfidf-words", "tfidf-characters"]
        assert list(values["tuned"]) == ["multilabel-micro-f1", "multilabel-macro-f1", "exact-match"]
        assert values["tuned"]["multilabel-micro-f1"] > 0.9 > values["majority"]["multilabel-micro-f1"]
        assert list(model.config.label2id) == ["card", "money", "order", "phone"]
        assert model.config.problem_type == "multi_label_classification"
        assert json.loads(said["answer"]) == ["money", "order"]
        assert all((one["score"] > 0.5) is (one["label"] in ("money", "order")) for one in said["scores"])
    else:
        assert list(values) == ["tuned", "mean", "tfidf-ridge"]
        assert list(values["tuned"]) == ["mae", "rmse", "spearman", "pearson"]
        assert values["tuned"]["mae"] < 0.4 < values["mean"]["mae"] and values["tuned"]["pearson"] > 0.9
        assert model.config.problem_type == "regression" and model.config.num_labels == 1
        assert float(said["answer"]) == pytest.approx(said["scores"][0]["score"], abs=1e-4)
        assert said["scores"][0]["label"] == "score" and abs(float(said["answer"]) - 2.1) < 0.5


@pytest.mark.parametrize(
    ("kind", "unseen"),
    [
        ("multi", [{"text": "nothing at all", "labels": []}, {"text": "a phone card", "labels": ["card", "phone"]}]),
        ("score", [{"text": "a phone card", "label": 0.123}, {"text": "two phone cards", "label": -7}]),
    ],
)
def test_the_audit_lets_every_answer_of_the_task_pass(tmp_path: Path, kind: str, unseen: list[dict[str, Any]]) -> None:
    wanted = recipe(tmp_path, kind)
    with (tmp_path / "test.jsonl").open("a") as file:
        file.writelines(json.dumps(one) + "\n" for one in unseen)
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(wanted.model_dump(mode="json")))
    report = tunesmith.run(wanted, tunesmith.open_context(path), until="audit").audit
    assert report.test is not None and report.test.rows == 42
    twins = {"near-duplicate", "split-leakage", "exact-duplicate"}
    assert {one.rule for one in report.findings} <= twins | ({"label-error"} if kind == "multi" else set())


def test_one_label_is_refused_before_training(tmp_path: Path) -> None:
    """A head of one output is no classifier: transformers cannot open its config again."""
    wanted = recipe(tmp_path, "multi").model_dump(mode="json")
    wanted |= {"task": {"type": "classify"}, "gate": [{"metric": "exact-match", "at_least": 0.5}]}
    for name in ("train", "test"):
        lines = [json.dumps({"text": f"card {at} of {at * 7}", "label": "card"}) for at in range(20)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(wanted))
    context = tunesmith.open_context(path)
    for until in ("train", "release"):
        with pytest.raises(tunesmith.DataError, match=r"every training row has the label 'card'"):
            tunesmith.run(Recipe.model_validate(wanted), context, until=until)


def test_a_label_that_is_no_number_is_named(tmp_path: Path) -> None:
    wanted = recipe(tmp_path, "score")
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write(json.dumps({"text": "order", "label": "many"}) + "\n")
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(wanted.model_dump(mode="json")))
    with pytest.raises(tunesmith.DataError, match=r"the label 'many' is not a number"):
        tunesmith.run(wanted, tunesmith.open_context(path), until="train")
