"""Tokens added to a base: drawn as transformers draws them, trained, saved, and loaded by plain transformers and PEFT."""

import json
import shutil
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tunesmith import train
from tunesmith.artifacts import Example, Row, TrainReport, message
from tunesmith.chat.vetted_templates import VETTED_TEMPLATES
from tunesmith.context import Context
from tunesmith.data.rows import store_dataset
from tunesmith.errors import DataError, RecipeError
from tunesmith.models.bases import prepare
from tunesmith.models.bases.prepare import prepare_base
from tunesmith.models.bases.resolve import resolve_base
from tunesmith.models.loading import load_folder, load_merged
from tunesmith.recipe import TaskSettings, TrainSettings
from tunesmith.store import open_store

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[2] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`"),
]
MARKS = VETTED_TEMPLATES["chatml"].tokens
CHAT = TaskSettings(type="chat", chat_template="chatml")


def make_base(folder: Path, *, tied: bool = False, spare: int = 0) -> Path:
    """The tiny model without a template, its head tied or its embeddings with rows to spare."""
    fixtures_models.make_folder(folder)
    (folder / "chat_template.jinja").unlink()
    rows = json.loads((folder / "config.json").read_text())["vocab_size"]
    config = LlamaConfig.from_pretrained(folder, tie_word_embeddings=tied, vocab_size=rows + spare)
    torch.manual_seed(4)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = Context(store=open_store(tmp_path / "store"), data_root=tmp_path, home=tmp_path, seed=1)
    yield made
    made.store.ledger.close()


def settings(**options: Any) -> TrainSettings:
    return TrainSettings(
        **{"rows_per_step": 4, "max_steps": 3, "rank": 2, "learning_rate": 0.02, "add_tokens": MARKS, **options}
    )


def trained(base: Path, context: Context, **options: Any) -> TrainReport:
    turns = [(message("user", f"where is order {n}?"), message("assistant", f"order {n} is late")) for n in range(8)]
    rows = [
        Row(row_id=f"{n:016x}", file="made", line=n + 1, example=Example(messages=one)) for n, one in enumerate(turns)
    ]
    inputs = train.TrainInputs(store_dataset("made", rows, context.store), base.name, CHAT)
    return train.run(inputs, settings(**options), context)


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids).logits


@pytest.mark.parametrize("tied", [False, True])
def test_new_rows_equal_transformers_and_are_reproducible(tied: bool, tmp_path: Path, context: Context) -> None:
    base = make_base(tmp_path / "base", tied=tied)
    ref = prepare_base("base", CHAT, context, train=settings())
    ours = AutoModelForCausalLM.from_pretrained(context.store.checkout(ref.tree))
    tokenizer = AutoTokenizer.from_pretrained(context.store.checkout(ref.tree))
    plain = AutoModelForCausalLM.from_pretrained(base)
    before = plain.get_input_embeddings().weight.detach().clone()
    plain.resize_token_embeddings(len(tokenizer))
    old = before.shape[0]
    assert (ours.config.vocab_size, len(tokenizer)) == (old + 2, old + 2)
    assert torch.equal(ours.get_input_embeddings().weight[:old], before)
    assert torch.allclose(ours.get_input_embeddings().weight[old:], before.mean(0).expand(2, -1), atol=1e-3)
    assert torch.allclose(ours.get_input_embeddings().weight, plain.get_input_embeddings().weight, atol=1e-3)
    assert torch.allclose(ours.get_output_embeddings().weight, plain.get_output_embeddings().weight, atol=1e-3)
    assert (ours.get_output_embeddings().weight is ours.get_input_embeddings().weight) == tied
    assert [tokenizer.convert_tokens_to_ids(name) for name in MARKS] == [old, old + 1]
    assert set(MARKS) <= {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    second = Context(store=open_store(tmp_path / "other"), data_root=tmp_path, home=tmp_path, seed=9)
    torch.manual_seed(8)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert prepare_base("base", CHAT, second, train=settings()).tree == ref.tree
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert prepare_base("base", CHAT, context, train=settings(seed=8)).tree != ref.tree
    raw = resolve_base("base", context)
    assert (ref.made_from, ref.prepared[0]) == (raw.tree, "2 tokens added: <|im_start|>, <|im_end|>")
    assert ref.parameters == raw.parameters + 2 * 32 * (1 if tied else 2)
    second.store.ledger.close()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("tied", [False, True])
def test_an_adapter_trains_and_saves_only_the_new_rows(
    tied: bool, precision: str, tmp_path: Path, context: Context
) -> None:
    base = make_base(tmp_path / "base", tied=tied)
    report = trained(base, context, precision=precision)
    folder, below = context.store.checkout(report.model.tree), context.store.checkout(report.base.tree)
    saved = load_file(folder / "adapter_model.safetensors")
    rows = {name: value for name, value in saved.items() if "trainable_tokens" in name}
    assert {tuple(value.shape) for value in rows.values()} == {(2, 32)} and len(rows) == (1 if tied else 2)
    assert not [name for name in saved if "lora" not in name and name not in rows]
    start = AutoModelForCausalLM.from_pretrained(below).get_input_embeddings().weight[-2:].detach()
    (table,) = [value for name, value in rows.items() if "embed_tokens" in name]
    assert float((table.float() - start).abs().max()) > 1e-3
    kind = torch.float32 if precision == "fp32" else torch.bfloat16
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer.encode("<|im_start|>user\nwhere is order 3?<|im_end|>\n", add_special_tokens=False)])
    assert int(ids.max()) >= len(tokenizer) - 2
    mine = logits(load_folder(folder, base=below, dtype=precision)[0], ids)
    plain = AutoModelForCausalLM.from_pretrained(base, dtype=kind)
    plain.resize_token_embeddings(len(tokenizer))
    theirs = PeftModel.from_pretrained(plain, folder, autocast_adapter_dtype=False)
    assert torch.equal(logits(theirs, ids), mine)
    over_raw = load_folder(folder, base=base, dtype=precision)[0]
    assert torch.equal(logits(over_raw, ids), mine)
    merged, _ = load_merged(folder, base=below, dtype=precision)
    away = float((logits(merged, ids).float() - mine.float()).norm() / mine.float().norm())
    assert away < (1e-5 if precision == "fp32" else 0.05)
    tie = merged.get_input_embeddings().weight is merged.get_output_embeddings().weight
    assert tie == tied
    assert report.trainable_parameters == sum(value.numel() for value in saved.values())


def test_pefts_loader_needs_only_the_base(tmp_path: Path, context: Context) -> None:
    """AutoPeftModel reads the base's name from the adapter; a path in its place, and it makes room by the tokenizer."""
    base = make_base(tmp_path / "base")
    report = trained(base, context)
    folder = shutil.copytree(context.store.checkout(report.model.tree), tmp_path / "adapter")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == report.base.name
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": str(base)}))
    theirs = AutoPeftModelForCausalLM.from_pretrained(folder)
    ids = torch.tensor([[5, 9, len(AutoTokenizer.from_pretrained(folder)) - 1, 8]])
    assert torch.equal(logits(theirs, ids), logits(load_folder(folder, base=base)[0], ids))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_whole_model_is_saved_with_its_rows(tied: bool, optimizer: str, tmp_path: Path, context: Context) -> None:
    base = make_base(tmp_path / "base", tied=tied)
    report = trained(base, context, method="full", optimizer=optimizer)
    folder = context.store.checkout(report.model.tree)
    theirs, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert theirs.config.vocab_size == len(tokenizer) == theirs.get_input_embeddings().weight.shape[0]
    ids = torch.tensor([[5, 9, len(tokenizer) - 1, 8]])
    assert torch.equal(logits(theirs, ids), logits(load_folder(folder)[0], ids))
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert end in theirs.generation_config.eos_token_id


def test_the_gradient_of_the_rows_equals_that_of_the_whole_matrix(tmp_path: Path, context: Context) -> None:
    """One step of plain transformers with the whole embeddings trainable moves these rows the same way."""
    from tunesmith.train.methods import prepare_model

    make_base(tmp_path / "base", tied=True)
    folder = context.store.checkout(prepare_base("base", CHAT, context, train=settings()).tree)
    whole = AutoModelForCausalLM.from_pretrained(folder)
    size = whole.config.vocab_size
    ids = torch.tensor([[5, size - 2, 9, size - 1, 8, size - 1]])
    whole(input_ids=ids, labels=ids).loss.backward()
    ours = prepare_model(load_folder(folder)[0], settings(), context, added=[size - 2, size - 1])
    ours(input_ids=ids, labels=ids).loss.backward()
    (mine,) = [value.grad for name, value in ours.named_parameters() if "trainable_tokens" in name]
    assert torch.allclose(mine, whole.get_input_embeddings().weight.grad[-2:], rtol=1e-5, atol=1e-7)


def test_spare_rows_are_used_before_the_embeddings_grow(tmp_path: Path, context: Context) -> None:
    base = make_base(tmp_path / "base", spare=6)
    report = trained(base, context)
    mine, own = context.store.tree(report.base.tree), context.store.tree(resolve_base("base", context).tree)
    assert mine["model.safetensors"] == own["model.safetensors"] and mine["config.json"] == own["config.json"]
    folder = context.store.checkout(report.model.tree)
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
    ids = torch.tensor([[5, 9, len(AutoTokenizer.from_pretrained(folder)) - 1, 8]])
    assert torch.equal(logits(theirs, ids), logits(load_folder(folder, base=base)[0], ids))


def test_another_code_version_prepares_the_base_again(
    tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_base(tmp_path / "base")
    folders: list[Path] = []
    real = prepare.add_tokens
    monkeypatch.setattr(prepare, "add_tokens", lambda *given, **how: (folders.append(given[0]), real(*given, **how)))
    first = prepare_base("base", CHAT, context, train=settings())
    assert prepare_base("base", CHAT, context, train=settings()) == first and len(folders) == 1
    monkeypatch.setattr(prepare, "code_version", lambda: "sha256:of-other-code")
    assert prepare_base("base", CHAT, context, train=settings()) == first and len(folders) == 2


def test_a_list_of_token_indices_is_of_the_embeddings(tmp_path: Path, context: Context) -> None:
    """PEFT takes the indices as a list too."""
    base = make_base(tmp_path / "base", tied=True)
    folder = shutil.copytree(context.store.checkout(trained(base, context).model.tree), tmp_path / "adapter")
    config = json.loads((folder / "adapter_config.json").read_text())
    (added,) = config["trainable_token_indices"].values()
    ids = torch.tensor([[5, 9, max(added), 8]])
    expected = logits(load_folder(folder, base=base)[0], ids)
    (folder / "adapter_config.json").write_text(json.dumps({**config, "trainable_token_indices": added}))
    assert torch.equal(logits(load_folder(folder, base=base)[0], ids), expected)


def with_more_tokens(base: Path, *names: str, special: bool) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(list(names), special_tokens=special)
    tokenizer.save_pretrained(base)


def test_a_tokenizer_larger_than_the_embeddings_is_refused_with_figures(tmp_path: Path, context: Context) -> None:
    base = make_base(tmp_path / "base")
    with_more_tokens(base, "kettle", "teapot", special=False)
    rows = json.loads((base / "config.json").read_text())["vocab_size"]
    plain = TaskSettings(type="chat", chat_template="plain")
    with pytest.raises(RecipeError) as caught:
        prepare_base("base", plain, context, train=settings(add_tokens=()))
    assert caught.value.what == (
        f"the tokenizer has ids up to {rows + 1}, but the embeddings have {rows} rows: 2 tokens have no row, the first is"
        f" 'kettle' with id {rows}"
    )
    assert '`train: {add_tokens: ["kettle", "teapot"]}`' in (caught.value.hint or "")
    ref = prepare_base("base", plain, context, train=settings(add_tokens=("kettle", "teapot")))
    assert AutoModelForCausalLM.from_pretrained(context.store.checkout(ref.tree)).config.vocab_size == rows + 2


def test_a_special_token_without_a_row_is_refused_only_when_used(tmp_path: Path, context: Context) -> None:
    """Gemma 3's text models have a mark for images beyond their rows, which no text of theirs has."""
    base = make_base(tmp_path / "base")
    with_more_tokens(base, "<image>", special=True)
    plain = TaskSettings(type="chat", chat_template="plain")
    assert prepare_base("base", plain, context, train=settings(add_tokens=())).prepared == ("chat template plain",)
    (tmp_path / "image.jinja").write_text("{{- '<image>' -}}" + VETTED_TEMPLATES["plain"].text)
    with pytest.raises(RecipeError, match="1 token has no row, the first is '<image>'"):
        prepare_base(
            "base", TaskSettings(type="chat", chat_template="image.jinja"), context, train=settings(add_tokens=())
        )


def test_a_row_with_such_a_token_is_refused(tmp_path: Path, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.chat.encode import EncodedSequence
    from tunesmith.train.setup import check_token_ids

    make_base(tmp_path / "base")
    model, _ = load_folder(tmp_path / "base")
    row = Row(row_id="a", file="made", line=3, example=Example(text="x"))
    size = model.config.vocab_size
    check_token_ids([EncodedSequence("a", (1, size - 1), ((0, 2),))], model, [row])
    with pytest.raises(
        DataError, match=f"row a has the token id {size}, but the embeddings have only {size} rows"
    ) as caught:
        check_token_ids([EncodedSequence("a", (1, size), ((0, 2),))], model, [row])
    assert caught.value.where == "made:3"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"add_tokens": ("<|user|>",)}, r"the base already has the token '<\|user\|>' \(id"),
        ({"target_modules": ("q_proj", "embed_tokens")}, "embed_tokens has rows of added tokens"),
    ],
)
def test_unsupported_added_tokens_are_refused(
    options: dict[str, Any], what: str, tmp_path: Path, context: Context
) -> None:
    base = make_base(tmp_path / "base")
    with pytest.raises(RecipeError, match=what):
        trained(base, context, **options)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"add_tokens": ("a", "a")}, "must not contain an empty or repeated token"),
        ({"add_tokens": (" ",)}, "must not contain an empty or repeated token"),
        ({"strategy": "fsdp"}, "not tested with fsdp; set strategy: ddp"),
    ],
)
def test_the_key_is_checked(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        settings(**options)
