"""The prefilter loses no lexicon entry; the classifier is a local folder identified by its weights, or is rejected."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from pyarrow import compute
from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

from tunesmith.artifacts import Example, Row, message
from tunesmith.audit.check_plan import plan_checks
from tunesmith.audit.checks.toxicity import Toxicity
from tunesmith.audit.corpus_builder import build_corpus
from tunesmith.context import Context
from tunesmith.detect.lexicons import TOXIC_ENTRIES, find_toxic_terms, toxic_gate
from tunesmith.detect.lexicons.classifier import load_local_classifier
from tunesmith.errors import RecipeError
from tunesmith.recipe import AuditSettings, TaskSettings
from tunesmith.registry import signature

LABELS = ("toxic",)


def rows(*texts: str) -> list[Row]:
    turns = [(message("user", "say it"), message("assistant", text)) for text in texts]
    return [
        Row(row_id=str(n), file="a.jsonl", line=n, example=Example(messages=turn)) for n, turn in enumerate(turns, 1)
    ]


def folder_of(path: Path) -> Path:
    """A tiny random classifier of two labels over five words; 'bad' is told by a bias of the word's own."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]
    path.mkdir()
    (path / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(3)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=7, id2label={0: "clean", 1: "Toxic"}, label2id={"clean": 0, "Toxic": 1}, **sizes)
    BertForSequenceClassification(config).save_pretrained(path)
    BertTokenizerFast(vocab_file=str(path / "vocab.txt")).save_pretrained(path)
    return path


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_the_prefilter_loses_no_entry() -> None:
    """The exact expression of every entry, written out in the plainest way it matches, opens the one native gate."""
    texts = ["Go kill yourself.", "Du Missgeburt!", "Eres un imbécil", "va te pendre", "kys", "you are a dead man"]
    assert all(find_toxic_terms(text) for text in texts)
    assert compute.match_substring_regex(pa.array(texts), toxic_gate()).to_pylist() == [True] * len(texts)
    assert len(TOXIC_ENTRIES) > 50


@pytest.mark.parametrize(
    "text",
    [
        "The word « connard » is an insult.",
        "« connard » veut dire quoi ?",
        '"Wichser" ist ein Schimpfwort.',
        'La palabra "gilipollas" es un insulto.',
    ],
)
def test_mentioned_words_are_not_hits(text: str) -> None:
    assert find_toxic_terms(text) == []


def test_classifier_scores_equal_those_of_transformers(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model")
    made = load_local_classifier(str(folder), sha256=digest(folder), labels=LABELS)
    texts = ["good", "bad bad", "good bad good"]
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    with torch.inference_mode():
        alone = [model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0, 1].item() for text in texts]
    assert made.scores(texts) == pytest.approx(alone, abs=1e-6)
    assert made.scores([]) == []


def test_rows_above_the_threshold_are_found(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model")
    texts = ["good", "bad bad", "good bad good", "bad"]
    scores = load_local_classifier(str(folder), sha256=digest(folder), labels=LABELS).scores(texts)
    asked = load_local_classifier(str(folder), sha256=digest(folder), labels=LABELS).scores(["say it"])[0]
    cut = sorted(max(score, asked) for score in scores)[1]
    check = Toxicity(model=str(folder), sha256=digest(folder), labels=LABELS, threshold=cut)
    lines = {finding.place.line for finding in check.examine(build_corpus(rows(*texts), []))}
    assert lines == {n for n, score in enumerate(scores, 1) if max(score, asked) >= cut}


def test_the_model_is_looked_up_next_to_the_recipe(
    context: Context, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As data files do: below the data root, else beside the recipe; never where the command was called. By its name as
    written, a report is the same wherever the recipe lies."""
    home, elsewhere = (tmp_path_factory.mktemp(name) for name in ("home", "elsewhere"))
    here = replace(context, data_root=tmp_path_factory.mktemp("data"), home=home)
    sha256 = digest(folder_of(home / "model"))
    folder_of(elsewhere / "only-here")
    monkeypatch.chdir(elsewhere)

    def planned(model: str) -> Toxicity:
        settings = AuditSettings(warn=({"toxicity": {"model": model, "sha256": sha256, "labels": list(LABELS)}},))
        checks = [one.check for one in plan_checks(settings, TaskSettings(type="chat"), context=here)]
        return next(one for one in checks if isinstance(one, Toxicity))

    found = planned("model")
    assert "model='model'" in signature(found) and str(home) not in signature(found)
    assert isinstance(found.examine(build_corpus(rows("good", "bad"), [])), list)
    with pytest.raises(RecipeError, match=re.escape(str(home / "only-here"))):
        planned("only-here").examine(build_corpus(rows("good"), []))
    folder_of(here.data_root / "model")
    assert planned("model").roots == (here.data_root, home)
    (here.data_root / "model" / "model.safetensors").write_bytes(b"other")
    with pytest.raises(RecipeError, match="the weights are not those"):
        planned("model").examine(build_corpus(rows("good"), []))


def test_models_that_are_not_local_are_rejected(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model")
    for remote in ("unitary/toxic-bert", "https://example.test/model", str(tmp_path)):
        with pytest.raises(RecipeError, match=r"there is no model\.safetensors in") as caught:
            load_local_classifier(remote, sha256=None, labels=LABELS)
        assert caught.value.where == "audit: toxicity" and "nothing is fetched" in caught.value.hint
    with pytest.raises(RecipeError, match="`model` needs `sha256`") as caught:
        load_local_classifier(str(folder), sha256=None, labels=LABELS)
    assert digest(folder) in caught.value.hint
    with pytest.raises(RecipeError, match="the weights are not those"):
        load_local_classifier(str(folder), sha256="0" * 64, labels=LABELS)
    with pytest.raises(RecipeError, match="none of `labels`") as caught:
        load_local_classifier(str(folder), sha256=digest(folder), labels=("rude",))
    assert caught.value.hint == "set `labels` to some of: clean, Toxic"
    assert json.loads((folder / "config.json").read_text())["id2label"] == {"0": "clean", "1": "Toxic"}


def test_hits_in_prompts_are_milder_than_in_answers() -> None:
    turns = ("Go kill yourself.", "No."), ("What did he write?", "Go kill yourself.")
    asked, learned = (
        Row(
            row_id=str(n),
            file="a.jsonl",
            line=n,
            example=Example(messages=(message("user", one), message("assistant", two))),
        )
        for n, (one, two) in enumerate(turns, 1)
    )
    found = Toxicity().examine(build_corpus([asked, learned], []))
    assert [(one.place.line, one.severity, one.spans[0].kind) for one in found] == [
        (1, "warning", "self-harm"),
        (2, "error", "self-harm"),
    ]
    assert [(one.spans[0].message, one.spans[0].start) for one in found] == [(0, 0), (1, 0)]
