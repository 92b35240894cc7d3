"""Targets of an encoder-decoder equal transformers' generate, alone, in a batch, and from the saved config."""

import json
import shutil
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    GenerationConfig,
    MBart50Tokenizer,
    MBartConfig,
    MBartForConditionalGeneration,
    MBartTokenizer,
)

from tunesmith.artifacts import Example, Row
from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends.seq2seq import Seq2SeqModel, open_seq2seq
from tunesmith.models.tasks import Seq2seqTask
from tunesmith.recipe import TaskSettings

SPEC = spec_from_file_location("fixtures_encoders", Path(__file__).parents[3] / "fixtures_encoders.py")
fixtures = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures)

TEXTS = (
    "Where is my order?",
    "The kettle leaks, and I would like my money back or a new one by Friday, please; nobody answers the phone.",
    "card not working",
    "It should have been here on Tuesday. It is not.",
    "Anna Berg of Acme wrote from Oslo",
    "the phone",
)
MOST = 24
Made = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    made: dict[str, Path] = {}

    def of(family: str) -> Path:
        if family not in made:
            made[family] = fixtures.make_seq2seq(tmp_path_factory.mktemp(family), family)
        return made[family]

    yield of


def sources_of(model: Seq2SeqModel) -> list[list[int]]:
    return [model.tokenizer.encode(text) for text in TEXTS]


def theirs(model: Any, source: list[int], config: GenerationConfig) -> list[int]:
    """Without the decoder's start and the end."""
    made = model.generate(input_ids=torch.tensor([source]), generation_config=config, do_sample=False, num_beams=1)
    ids = made[0].tolist()[1:]
    return ids[:-1] if ids[-1] == config.eos_token_id else ids


def shaken(path: Path) -> Seq2SeqModel:
    """With noise on every weight, so that answers differ, and with an end that comes early in some of them and late in others."""
    for seed in range(20):
        model = open_seq2seq(path, digest="sha256:x")
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, value in model.model.named_parameters():
                if name not in (model.model._keys_to_ignore_on_save or ()):  # sinusoidal positions
                    value.add_(0.5 * torch.randn(value.shape, generator=generator))
        plain = [ids[1:] for ids in model.generate(sources_of(model), max_new_tokens=MOST)]
        places = {
            token: {ids.index(token) if token in ids else MOST for ids in plain}
            for token in {token for ids in plain for token in ids} - set(model.tokenizer.all_special_ids)
        }
        ending = max(places, key=lambda token: (len(places[token]), token), default=None)
        if ending is not None and len(places[ending]) > 1:
            model.tokenizer.eos_token = model.tokenizer.convert_ids_to_tokens(ending)
            return Seq2SeqModel(model.model, model.tokenizer, "sha256:x")
    raise AssertionError("all answers are alike")


@pytest.mark.parametrize("family", list(fixtures.SEQ2SEQ))
def test_tokens_are_those_of_transformers(folder: Made, family: str) -> None:
    model = shaken(folder(family))
    sources, config = sources_of(model), model.target_tokens.config(model.model, max_new_tokens=MOST)
    expected = [theirs(model.model, source, config) for source in sources]
    assert len({len(ids) for ids in expected}) > 1
    told: list[int] = []
    for batch in (1, 3, 6):
        told.clear()
        assert model.generate(sources, max_new_tokens=MOST, batch=batch, report=told.append) == expected
        assert sum(told) == len(sources)
    for source, ids in zip(sources, expected, strict=True):
        streamed = list(model.stream(source, max_new_tokens=MOST))
        assert streamed == (ids if len(ids) == MOST else [*ids, model.target_tokens.end])


@pytest.mark.parametrize("family", ["t5", "bart", "marian"])
def test_a_saved_model_generates_the_same_by_itself(folder: Made, family: str, tmp_path: Path) -> None:
    """Whatever its base's generation config asked for: beams, lengths and penalties go, tokens that are barred stay."""
    path = tmp_path / "base"
    shutil.copytree(folder(family), path)
    asked = json.loads((path / "generation_config.json").read_text())
    asked |= {
        "num_beams": 4,
        "min_length": 9,
        "no_repeat_ngram_size": 2,
        "length_penalty": 2.0,
        "forced_eos_token_id": 3,
    }
    asked |= {"max_length": 12, "repetition_penalty": 1.5, "bad_words_ids": [[0], [5, 6]], "early_stopping": True}
    (path / "generation_config.json").write_text(json.dumps(asked))
    model = shaken(path)
    assert model.target_tokens.suppressed == (0,)
    model.model.generation_config = model.target_tokens.config(model.model, max_new_tokens=MOST)
    model.model.save_pretrained(tmp_path / "saved")
    model.tokenizer.save_pretrained(tmp_path / "saved")
    alone = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "saved")
    sources = sources_of(model)
    mine = open_seq2seq(tmp_path / "saved", digest="sha256:y").generate(sources, max_new_tokens=MOST)
    assert mine == model.generate(sources, max_new_tokens=MOST)
    for source, ids in zip(sources, mine, strict=True):
        made = alone.generate(input_ids=torch.tensor([source]))[0].tolist()[1:]
        assert made == (ids if len(ids) == MOST else [*ids, model.target_tokens.end])


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("decoder_start_token_id", None, "does not define its decoder start token"),
        ("decoder_start_token_id", 5000, "starts with token 5000"),
        ("pad_token_id", None, "does not define its padding token"),
    ],
)
def test_a_base_that_does_not_say_how_it_begins_is_refused(
    folder: Made, tmp_path: Path, key: str, value: Any, why: str
) -> None:
    for family in ("t5", "bart"):
        path = tmp_path / family
        shutil.copytree(folder(family), path)
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(config | {key: value}))
        with pytest.raises(DataError, match=why) as told:
            open_seq2seq(path, digest="sha256:x")
        assert key in told.value.hint


def test_answers_end_with_the_decoders_positions(folder: Made) -> None:
    model = open_seq2seq(folder("bart"), digest="sha256:x")
    model.tokenizer.model_max_length = 20
    assert model.context == 20 and len(model.generate([model.tokenizer.encode("order")], max_new_tokens=99)[0]) <= 20


LETTERS = ["<s>", "<pad>", "</s>", "<unk>", "\u2581", *"abcdefghijklmnopqrstuvwxyz.,", "en_XX", "de_DE", "<mask>"]


@pytest.mark.parametrize(
    ("kind", "starts", "first"), [(MBartTokenizer, "de_DE", None), (MBart50Tokenizer, "</s>", "de_DE")]
)
def test_codes_of_languages_stand_where_the_tokenizer_writes_them(
    tmp_path: Path, kind: Any, starts: str, first: str | None
) -> None:
    """mBART's decoder starts with the target's language; mBART-50 must write it first. Both must be told."""
    tokenizer = kind(
        vocab=[(piece, -float(at)) for at, piece in enumerate(LETTERS)], src_lang="en_XX", tgt_lang="de_DE"
    )
    config = MBartConfig(**fixtures.BART, vocab_size=len(tokenizer), decoder_start_token_id=2)
    torch.manual_seed(3)
    MBartForConditionalGeneration(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = open_seq2seq(tmp_path, digest="sha256:x")
    names = model.tokenizer.convert_ids_to_tokens
    assert names(model.target_tokens.start) == starts and model.target_tokens.end == 2
    assert (None if model.target_tokens.first is None else names(model.target_tokens.first)) == first
    task = Seq2seqTask(TaskSettings(type="seq2seq"))
    row = Row(row_id="0" * 16, file="made", line=1, example=Example(text="an order", labels=("eine karte",)))
    (pair,) = task.encode(row, model.tokenizer, window=64, objective="completion")
    assert [name for name in names(pair.source) if "_" in name] == ["en_XX"]
    assert [name for name in names(pair.target) if "_" in name] == ["de_DE"]
    (ids,) = model.generate([pair.source], max_new_tokens=9)
    assert ids == theirs(model.model, list(pair.source), model.target_tokens.config(model.model, max_new_tokens=9))
    told = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told | {"tgt_lang": None}))
    with pytest.raises(Misuse, match="but tgt_lang is None"):
        open_seq2seq(tmp_path, digest="sha256:x")
