"""The weight of an assistant's message: read from the file, kept out of the bytes where there is none, given to the span."""

import hashlib
import json

import pytest
from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast

from tunesmith.artifacts import Example, Message, Row, Text, message
from tunesmith.chat.encode import encode_chat
from tunesmith.context import Context
from tunesmith.data.sources import read_source
from tunesmith.errors import DataError
from tunesmith.models.bases.new_tokenizer import train_tokenizer
from tunesmith.recipe import SourceSettings

ROW = Row(row_id="00000000000000aa", file="made.jsonl", line=3, example=Example(text="x"))
TALK = ("Where is my order?", "delivery", "thank you", "bye")


def weighed(*weights: float | None) -> tuple[Message, ...]:
    """Two rounds whose answers have these weights."""
    first, second = (
        Message(role="assistant", content=(Text(text=text),), weight=weight)
        for text, weight in zip(TALK[1::2], weights, strict=True)
    )
    return (message("user", TALK[0]), first, message("user", TALK[2]), second)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(TALK, 300, positions=64)


def read(context: Context, *answers: str) -> tuple[Message, ...]:
    """The messages of the last row of a file whose rows end in these answers, as JSON."""
    lines = [f'{{"messages": [{{"role": "user", "content": "a"}}, {answer}]}}\n' for answer in answers]
    (context.data_root / "a.jsonl").write_text("".join(lines))
    rows, _ = read_source(SourceSettings(path="a.jsonl"), split="train", context=context)
    return rows[-1].example.messages


@pytest.mark.parametrize(
    ("written", "weight"),
    [("0", 0.0), ("0.0", 0.0), ("0.25", 0.25), ("3", 3.0), ("1", None), ("1.0", None), ("null", None)],
)
def test_a_weight_is_read_and_one_is_none(context: Context, written: str, weight: float | None) -> None:
    answer = f'{{"role": "assistant", "content": "b", "weight": {written}}}'
    assert [turn.weight for turn in read(context, answer)] == [None, weight]


@pytest.mark.parametrize("written", ["-1", "-0.5", "true", '"1"', "[1]", "1" + "0" * 400])
def test_a_weight_must_be_a_number_of_at_least_zero(context: Context, written: str) -> None:
    good = '{"role": "assistant", "content": "b"}'
    with pytest.raises(DataError, match="message 2 has the weight .*, which is no number from 0 on") as caught:
        read(context, good, f'{{"role": "assistant", "content": "b", "weight": {written}}}')
    assert caught.value.where == "a.jsonl:2"


@pytest.mark.parametrize("role", ["user", "system", "tool"])
def test_only_assistant_messages_have_a_weight(context: Context, role: str) -> None:
    with pytest.raises(DataError, match="message 2 has the key 'weight', which is not read") as caught:
        read(context, f'{{"role": "{role}", "content": "b", "weight": 1}}')
    assert (caught.value.where, caught.value.hint) == ("a.jsonl:1", "only an assistant's message has a weight")


def test_a_message_without_a_weight_has_the_bytes_it_always_had() -> None:
    example = Example(messages=(message("user", "a"), message("assistant", "b")))
    parts = [
        {"content": [{"text": text, "type": "text"}], "role": role}
        for role, text in (("user", "a"), ("assistant", "b"))
    ]
    by_hand = json.dumps({"labels": None, "messages": parts, "text": None}, separators=(",", ":")).encode()
    assert example.canonical() == by_hand
    # Of the version before messages could have a weight.
    assert example.digest() == "sha256:43da2dd9a330452a81233a5890cafa13fcf8a9edfd3b1898a4107bbeef607804"
    assert "weight" not in ROW.model_copy(update={"example": example}).model_dump_json()


def test_a_weight_is_part_of_the_example_and_comes_back() -> None:
    plain, half = (Example(messages=weighed(weight, None)) for weight in (None, 0.5))
    assert b'"role":"assistant","weight":0.5}' in half.canonical()
    assert plain.digest() != half.digest()
    assert Example.from_bytes(half.canonical()) == half
    assert Example.from_bytes(plain.canonical()) == plain
    assert hashlib.sha256(half.canonical()).hexdigest() == half.digest().removeprefix("sha256:")


@pytest.mark.parametrize("weight", [-0.5, True, float("nan"), float("inf"), "1"])
def test_a_message_cannot_have_an_invalid_weight(weight: object) -> None:
    with pytest.raises(ValidationError):
        Message(role="assistant", content=(Text(text="b"),), weight=weight)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("weights", "spans", "kept"),
    [
        ((None, None), (0, 1), ()),
        ((1.0, 1.0), (0, 1), ()),
        ((0.0, None), (1,), ()),
        ((None, 0.0), (0,), ()),
        ((0.5, None), (0, 1), (0.5, 1.0)),
        ((0.0, 2.0), (1,), (2.0,)),
    ],
)
def test_spans_have_the_weights_of_their_messages(
    tokenizer: PreTrainedTokenizerFast,
    weights: tuple[float | None, float | None],
    spans: tuple[int, ...],
    kept: tuple[float, ...],
) -> None:
    (full,) = encode_chat(tokenizer, ROW, weighed(None, None))
    (row,) = encode_chat(tokenizer, ROW, weighed(*weights))
    assert row.ids == full.ids
    assert row.spans == tuple(full.spans[index] for index in spans)
    assert row.weights == kept
    sizes = [end - start for start, end in row.spans]
    assert row.weight == sum(a * b for a, b in zip(sizes, kept or (1.0,) * len(sizes), strict=True))


def test_a_row_without_any_weight_is_rejected(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(DataError, match="row 00000000000000aa: every assistant turn has weight 0, so nothing would be"):
        encode_chat(tokenizer, ROW, weighed(0.0, 0.0))


def test_each_sequence_of_a_rewritten_conversation_has_the_weight_of_its_answer() -> None:
    """The template writes a line break behind the last answer's opening only, so the past is written in another way."""
    made = train_tokenizer(TALK, 300, positions=64)
    made.chat_template = (
        "{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' }}"
        "{% if m['role'] == 'assistant' and loop.last %}{{ '\\n' }}{% endif %}{{ m['content'] + eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
    )
    rows = encode_chat(made, ROW, weighed(0.5, None))
    assert [row.weights for row in rows] == [(0.5,), ()]
    (second,) = encode_chat(made, ROW, weighed(0.0, None))
    assert second.ids == encode_chat(made, ROW, weighed(None, None))[1].ids
