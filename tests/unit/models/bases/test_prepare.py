"""Preparing a base: its own chat template, the recipe's, or an error that says what to write."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, GenerationConfig

from tunesmith.artifacts import Example, Row, message
from tunesmith.chat.encode import encode_chat, encode_text, prompt_ids
from tunesmith.chat.vetted_templates import VETTED_TEMPLATES
from tunesmith.context import Context
from tunesmith.errors import DataError, RecipeError
from tunesmith.models.backends.local import open_local
from tunesmith.models.bases.catalogue import EMBEDDED_BASE
from tunesmith.models.bases.prepare import prepare_base
from tunesmith.models.bases.resolve import resolve_base
from tunesmith.models.reader import open_reader
from tunesmith.recipe import TaskSettings, TrainSettings
from tunesmith.store import open_store


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = Context(store=open_store(tmp_path / "store"), data_root=tmp_path, home=tmp_path)
    yield made
    made.store.ledger.close()


@pytest.fixture
def bare(tiny_folder: Path, tmp_path: Path) -> Path:
    """A base without a chat template."""
    folder = shutil.copytree(tiny_folder, tmp_path / "bare")
    (folder / "chat_template.jinja").unlink()
    return folder


TRAIN = TrainSettings(rows_per_step=1)


def chat(template: str | None = None, kind: str = "chat") -> TaskSettings:
    return TaskSettings.model_validate({"type": kind, "chat_template": template})


@pytest.mark.parametrize("kind", ["chat", "classify"])
def test_a_conversation_without_a_template_is_refused_with_the_line_that_mends_it(
    bare: Path, context: Context, kind: str
) -> None:
    with pytest.raises(RecipeError, match=f"has no chat template, which task {kind} needs") as caught:
        prepare_base("bare", chat(kind=kind), context, train=TRAIN)
    assert f"task: {{type: {kind}, chat_template: NAME}}`, where NAME is plain or chatml" in (caught.value.hint or "")
    with pytest.raises(RecipeError, match="has no chat template"):
        open_reader("bare", chat(kind=kind), context, train=TRAIN)


def test_texts_need_no_template(bare: Path, context: Context) -> None:
    ref = prepare_base("bare", chat(kind="text"), context, train=TRAIN)
    assert ref == resolve_base("bare", context)
    model = open_local(context.store.checkout(ref.tree), digest=ref.tree)
    assert model.stops == {model.tokenizer.eos_token_id}
    row = Row(row_id="r", file="made", line=1, example=Example(text="the <|end|> of my order"))
    (piece,) = encode_text(model.tokenizer, row, row.example.text or "", window=99)
    assert piece.ids[-1] == model.tokenizer.eos_token_id and piece.ids.count(model.tokenizer.eos_token_id) == 1
    turns = (message("user", "a"), message("assistant", "b"))
    with pytest.raises(DataError, match="the tokenizer has no chat template") as caught:
        encode_chat(model.tokenizer, row, turns)
    assert "chat_template: NAME" in (caught.value.hint or "")


def test_bases_that_bring_one_are_left_alone(tiny_folder: Path, tmp_path: Path, context: Context) -> None:
    assert prepare_base(EMBEDDED_BASE, chat(), context, train=TRAIN) == resolve_base(EMBEDDED_BASE, context)
    older = shutil.copytree(tiny_folder, tmp_path / "older")
    text = (older / "chat_template.jinja").read_text()
    (older / "chat_template.jinja").unlink()
    config = json.loads((older / "tokenizer_config.json").read_text())
    (older / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": text}))
    assert prepare_base("older", chat(), context, train=TRAIN) == resolve_base("older", context)


def test_an_encoder_needs_none(bare: Path, context: Context) -> None:
    config = json.loads((bare / "config.json").read_text())
    (bare / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    assert prepare_base("bare", chat(kind="classify"), context, train=TRAIN).prepared == ()


def test_a_named_template_lies_beside_the_bases_own_files(bare: Path, context: Context) -> None:
    raw, ref = resolve_base("bare", context), prepare_base("bare", chat("plain"), context, train=TRAIN)
    assert (ref.name, ref.made_from, ref.prepared) == (raw.name, raw.tree, ("chat template plain",))
    mine, own = context.store.tree(ref.tree), context.store.tree(raw.tree)
    assert {name for name in mine if mine[name] != own.get(name)} == {"chat_template.jinja", "generation_config.json"}
    folder = context.store.checkout(ref.tree)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == VETTED_TEMPLATES["plain"].text
    assert GenerationConfig.from_pretrained(folder).eos_token_id == [tokenizer.eos_token_id]
    assert GenerationConfig.from_pretrained(folder).pad_token_id == GenerationConfig.from_pretrained(bare).pad_token_id
    assert prepare_base("bare", chat("plain"), context, train=TRAIN) == ref


def test_a_named_template_takes_the_place_of_the_bases_own(context: Context) -> None:
    ref = prepare_base(EMBEDDED_BASE, chat("plain"), context, train=TRAIN)
    asked = prompt_ids(AutoTokenizer.from_pretrained(context.store.checkout(ref.tree)), (message("user", "a"),))
    reader = open_reader(EMBEDDED_BASE, chat("plain"), context, train=TRAIN)
    assert reader is not None and reader.tree == ref.tree
    assert asked == prompt_ids(reader.tokenizer, (message("user", "a"),))
    own = open_reader(EMBEDDED_BASE, chat(), context, train=TRAIN)
    assert own is not None and asked != prompt_ids(own.tokenizer, (message("user", "a"),))


def test_a_file_beside_the_recipe(bare: Path, context: Context, tmp_path: Path) -> None:
    (tmp_path / "chats").mkdir()
    (tmp_path / "chats" / "mine.jinja").write_text(VETTED_TEMPLATES["plain"].text)
    ref = prepare_base("bare", chat("chats/mine.jinja"), context, train=TRAIN)
    assert ref.tree == prepare_base("bare", chat("plain"), context, train=TRAIN).tree
    named, told = ref.prepared
    assert named == "chat template of mine.jinja" and told.startswith("template sha256:")
    (tmp_path / "chats" / "mine.jinja").write_text(VETTED_TEMPLATES["plain"].text + "{# another #}")
    assert prepare_base("bare", chat("chats/mine.jinja"), context, train=TRAIN).tree != ref.tree


@pytest.mark.parametrize(
    ("template", "text", "what", "hint"),
    [
        ("plian", None, "no chat template 'plian'", "did you mean 'plain'? give plain or chatml, or a file"),
        ("chats.jinja", None, "no chat template 'chats.jinja'", "give plain or chatml, or a file"),
        ("bad.jinja", "{% for %}", "bad.jinja: the chat template cannot write a question", "fix the template"),
        ("deaf.jinja", "hello", "deaf.jinja: the chat template leaves out what is asked", "fix the template"),
        ("chatml", None, 'needs tokens that the base does not have: "<|im_start|>", "<|im_end|>"',
         'or add them: `train: {add_tokens: ["<|im_start|>", "<|im_end|>"]}`'),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(
    bare: Path, context: Context, tmp_path: Path, template: str, text: str | None, what: str, hint: str
) -> None:
    if text is not None:
        (tmp_path / template).write_text(text)
    with pytest.raises(RecipeError) as caught:
        prepare_base("bare", chat(template), context, train=TRAIN)
    assert what in caught.value.what
    assert caught.value.where == "task.chat_template"
    assert hint in (caught.value.hint or "")


def test_a_tokenizer_that_ends_nothing_is_refused(bare: Path, context: Context) -> None:
    path = bare / "tokenizer_config.json"
    config: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in config.items() if name != "eos_token"}))
    with pytest.raises(RecipeError, match="no end-of-sequence token"):
        prepare_base("bare", chat("plain"), context, train=TRAIN)


SWITCHED = (
    VETTED_TEMPLATES["plain"].text
    + "{%- if add_generation_prompt and enable_thinking is defined and enable_thinking is false -%}"
    + ("{{- '<think></think>' -}}{%- endif -%}")
)


@pytest.mark.parametrize(
    ("thinking", "ends"), [(False, "<think></think>"), (True, "<|assistant|>\n"), (None, "<|assistant|>\n")]
)
def test_the_switch_for_thinking_is_set_in_the_template(
    bare: Path, context: Context, thinking: bool | None, ends: str
) -> None:
    (bare / "chat_template.jinja").write_text(SWITCHED)
    ref = prepare_base("bare", TaskSettings(type="chat", thinking=thinking), context, train=TRAIN)
    tokenizer = AutoTokenizer.from_pretrained(context.store.checkout(ref.tree))
    assert tokenizer.decode(prompt_ids(tokenizer, (message("user", "a"),))).endswith(ends)
    words = {False: "thinking off", True: "thinking on"}
    assert ref.prepared[:1] == (() if thinking is None else (f"chat template with {words[thinking]}",))


def test_a_template_without_a_switch_is_refused(context: Context) -> None:
    with pytest.raises(RecipeError, match="has no switch for thinking") as caught:
        prepare_base(EMBEDDED_BASE, TaskSettings(type="chat", thinking=False), context, train=TRAIN)
    assert caught.value.where == "task.thinking"


@pytest.mark.parametrize(
    ("file", "content", "template", "what"),
    [
        ("config.json", b'{"model_type": "nobodys"}', None, "not a model config"),
        ("config.json", b"{", None, "not JSON"),
        ("config.json", b'{"model_type": "vit"}', None, "a base of type vit is not a language model"),
        ("tokenizer.json", b"{", None, "not a tokenizer: JSONDecodeError"),
        ("tokenizer.json", b"{}", None, "not a tokenizer: KeyError: 'model'"),
        ("tokenizer_config.json", b"{", "plain", "not a tokenizer config"),
        ("generation_config.json", b"{", "plain", "the base's generation_config.json is not JSON"),
        ("generation_config.json", b"[1]", "plain", "the base's generation_config.json is not a JSON object"),
    ],
)
def test_a_file_of_the_base_that_cannot_be_read_is_named(
    tiny_folder: Path, tmp_path: Path, context: Context, file: str, content: bytes, template: str | None, what: str
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "broken")
    (folder / file).write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare_base("broken", chat(template), context, train=TRAIN)
    assert caught.value.what.startswith(what)


def test_a_template_of_the_base_that_is_no_text_is_named(tiny_folder: Path, tmp_path: Path, context: Context) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "broken")
    (folder / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="chat_template.jinja is not UTF-8 text"):
        prepare_base("broken", TaskSettings(type="chat", thinking=True), context, train=TRAIN)
