"""How a base reads a row, against the tokens that training makes of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import normalizers
from transformers import AutoTokenizer

from tunesmith.artifacts import Example, Role, Row, message
from tunesmith.chat.encode import encode_chat
from tunesmith.context import Context
from tunesmith.errors import RecipeError
from tunesmith.models.bases import EMBEDDED_BASE
from tunesmith.models.bases.new_tokenizer import CHAT_TEMPLATE
from tunesmith.models.bases.resolve import embedded_folder
from tunesmith.models.reader import MAX_NORMALIZED_BYTES_PER_BYTE, BaseReader, open_reader, weighted_bytes
from tunesmith.models.reader_protocol import TokenCounts
from tunesmith.recipe import NewBase, NewTokenizer, TaskSettings, TrainSettings
from tunesmith.store import open_store

CHAT = TaskSettings(type="chat")
TRAIN = TrainSettings(rows_per_step=1)
ROLES: list[tuple[Role, ...]] = [
    ("user", "assistant"),
    ("system", "user", "assistant"),
    ("user", "assistant", "tool", "assistant", "user", "assistant"),
]


def said(turns: list[tuple[Role, str]]) -> Example:
    return Example(messages=tuple(message(role, text) for role, text in turns))


def shape(*roles: Role) -> Example:
    return said([(role, "") for role in roles])


TEXT = st.text(st.sampled_from("ab 1\n\té漢🙂ﷺﬁ\u0344｜<"), max_size=30)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder = tmp_path_factory.mktemp("reader")
    store = open_store(folder / "store")
    yield Context(store=store, data_root=folder, home=folder)
    store.ledger.close()


@pytest.fixture(scope="module")
def pebble(home: Context) -> BaseReader:
    reader = open_reader(EMBEDDED_BASE, CHAT, home, train=TRAIN)
    assert reader is not None
    return reader


@pytest.fixture(scope="module")
def normalizing(pebble: BaseReader) -> BaseReader:
    """The same base, with a tokenizer that brings texts into NFKC."""
    tokenizer = AutoTokenizer.from_pretrained(str(embedded_folder()))
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    return replace(pebble, tree="nfkc", tokenizer=tokenizer)


def test_the_window_is_the_smaller_of_what_the_base_has_and_what_the_recipe_allows(
    home: Context, pebble: BaseReader
) -> None:
    assert pebble.window == 2048
    shorter = open_reader(EMBEDDED_BASE, CHAT, home, train=TrainSettings(rows_per_step=1, max_tokens=100))
    longer = open_reader(EMBEDDED_BASE, CHAT, home, train=TrainSettings(rows_per_step=1, max_tokens=9999))
    assert shorter is not None and longer is not None
    assert (shorter.window, longer.window) == (100, 2048)


def test_its_signature_names_base_window_task_and_objective(pebble: BaseReader) -> None:
    task = TaskSettings(type="chat")
    expected = (
        f"BaseReader(name='{EMBEDDED_BASE}', tree='{pebble.tree}', window=2048, task={task!r}, objective='completion')"
    )
    assert repr(pebble) == expected
    assert pebble.tree.startswith("sha256:")


def test_a_reading_counts_the_tokens_of_training(pebble: BaseReader) -> None:
    turns: list[tuple[Role, str]] = [("user", "Where is my order?"), ("assistant", "It left on Monday.")]
    row = Row(
        row_id="0" * 16, file="", line=1, example=Example(messages=tuple(message(role, text) for role, text in turns))
    )
    (piece,) = encode_chat(pebble.tokenizer, row, row.example.messages)
    tokens, trained = len(piece.ids), piece.supervised
    assert pebble.read(said(turns)) == TokenCounts(tokens, 0, trained, 0)
    assert replace(pebble, window=tokens).read(said(turns)).lost == 0
    assert replace(pebble, window=tokens - 3).read(said(turns)) == TokenCounts(tokens, 3, trained, 3)
    assert replace(pebble, window=2).read(said(turns)) == TokenCounts(tokens, tokens - 2, trained, trained)


def test_the_instruction_of_the_task_counts(pebble: BaseReader) -> None:
    turns: list[tuple[Role, str]] = [("user", "Where is my order?"), ("assistant", "It left.")]
    told = replace(pebble, task=TaskSettings(type="chat", instruction="You sort the mail of a shop."))
    assert told.read(said(turns)).tokens > pebble.read(said(turns)).tokens
    assert told.bound(shape("user", "assistant")).added > pebble.bound(shape("user", "assistant")).added


@pytest.mark.parametrize(
    ("turns", "problem"),
    [
        ([("user", "Hello <|end|>"), ("assistant", "Yes?")], "a message spells the control token <|end|>"),
        ([("user", "Hello")], "no assistant turn, so nothing would be trained"),
        ([("assistant", "Hello")], "the conversation begins with the assistant"),
    ],
)
def test_what_cannot_be_trained(pebble: BaseReader, turns: list[tuple[Role, str]], problem: str) -> None:
    assert pebble.read(said(turns)) == TokenCounts(problem=problem)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ROLES), st.data(), st.booleans())
def test_no_conversation_has_more_tokens_than_its_bound(
    pebble: BaseReader, normalizing: BaseReader, roles: tuple[Role, ...], data: st.DataObject, normal: bool
) -> None:
    reader = normalizing if normal else pebble
    texts = [data.draw(TEXT) for _ in roles]
    bound = reader.bound(shape(*roles))
    reading = reader.read(said(list(zip(roles, texts, strict=True))))
    assert reading.tokens <= bound.added + bound.times * sum(weighted_bytes(text, bound.beyond) for text in texts)


def test_a_ligature_needs_the_growth(pebble: BaseReader, normalizing: BaseReader) -> None:
    """U+FDFA has three bytes and becomes eighteen letters, 33 bytes."""
    assert (pebble.bound(shape(*ROLES[0])).beyond, normalizing.bound(shape(*ROLES[0])).beyond) == (
        1,
        MAX_NORMALIZED_BYTES_PER_BYTE,
    )
    turns: list[tuple[Role, str]] = [("user", "\ufdfa" * 40), ("assistant", "ok")]
    assert normalizing.read(said(turns)).tokens > 3 * 40 + 20


def test_a_template_that_writes_a_message_twice_doubles_the_bound(pebble: BaseReader) -> None:
    tokenizer = AutoTokenizer.from_pretrained(str(embedded_folder()))
    tokenizer.chat_template = CHAT_TEMPLATE.replace(
        "{% else %}{{ message['content']", "{% else %}{{ message['content'] + message['content']"
    )
    assert replace(pebble, tree="twice", tokenizer=tokenizer).bound(shape("user", "assistant")).times == 2
    assert pebble.bound(shape("user", "assistant")).times == 1


def test_a_base_from_nothing_has_no_tokenizer_yet(home: Context) -> None:
    base = NewBase(config="config.json", tokenizer=NewTokenizer(train=300), seed=1)
    assert open_reader(base, CHAT, home, train=TRAIN) is None


def test_a_base_that_is_not_there_is_named(home: Context, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no base model at 'nowhere'"):
        open_reader("nowhere", CHAT, home, train=TRAIN)
