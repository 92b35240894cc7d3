"""Thoughts of a model are told apart from its answer, in a stream and in a whole reply; stop strings end answers alone."""

import asyncio
import json
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest

from tunesmith.chat.vetted_templates import VETTED_TEMPLATES
from tunesmith.models.bases.new_tokenizer import train_tokenizer
from tunesmith.serve.answer import AnswerChunk, AnswerRequest, stream_answer
from tunesmith.serve.openai.chat import ChatChunk, ResponseEnvelope, _event_stream, _full_response

TOKENIZER = train_tokenizer(["where is my order, the kettle leaks, think"], 320, positions=64)


def pieces_of(text: str, *, opened: bool = False, stop: tuple[str, ...] = (), ended: bool = True) -> list[AnswerChunk]:
    """What is served of a model that writes `text`."""
    TOKENIZER.chat_template = VETTED_TEMPLATES["plain"].text.replace(
        "<|assistant|>\\n' -}}", "<|assistant|>\\n<think>\\n' -}}" if opened else "<|assistant|>\\n' -}}"
    )
    ids = [*TOKENIZER.encode(text, add_special_tokens=False), *([TOKENIZER.eos_token_id] if ended else [])]
    model = SimpleNamespace(tokenizer=TOKENIZER, stops={TOKENIZER.eos_token_id}, stream=lambda *_, **__: iter(ids))
    released: Any = SimpleNamespace(model=model, options=())
    return list(stream_answer(released, AnswerRequest((1,), 99, 0.0, 1.0, 0, stop)))


def told(pieces: list[AnswerChunk]) -> tuple[str, str]:
    return "".join(one.reasoning for one in pieces).strip(), "".join(one.text for one in pieces)


@pytest.mark.parametrize(
    ("text", "opened", "thoughts", "words"),
    [
        ("<think>\nlate?\n</think>\n\nTuesday", False, "late?", "Tuesday"),
        ("late?\n</think>\n\nTuesday", True, "late?", "Tuesday"),
        ("Tuesday <think> no", False, "", "Tuesday <think> no"),
        ("late, and no end", True, "late, and no end", ""),
        ("<think>\n\n</think>\n\nTuesday", False, "", "Tuesday"),
    ],
)
@pytest.mark.parametrize("ended", [True, False])
def test_thoughts_and_answer_apart(text: str, opened: bool, thoughts: str, words: str, ended: bool) -> None:
    pieces = pieces_of(text, opened=opened, ended=ended)
    assert told(pieces) == (thoughts, words)
    assert [one.finish for one in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].finish == ("stop" if ended else "length")


def test_a_stop_string_ends_the_answer_and_not_the_thoughts() -> None:
    pieces = pieces_of("<think>my END order</think>the END kettle", stop=("END",))
    assert told(pieces) == ("my END order", "the ")
    assert pieces[-1].finish == "stop"


def test_clients_get_them_as_reasoning_content() -> None:
    made = pieces_of("<think>\nlate?\n</think>\n\nTuesday")

    async def both() -> tuple[dict[str, Any], list[str]]:
        head = ResponseEnvelope("chatcmpl-x", 1, "m:1", "f")
        whole = await _full_response(head, _parts(made))
        rest = _parts(made)
        first = await anext(rest)
        return whole, [event async for event in _event_stream(head, first, rest, with_usage=False)]

    whole, events = asyncio.run(both())
    message = whole["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("Tuesday", "late?")
    deltas = [json.loads(event[6:])["choices"][0]["delta"] for event in events if event.startswith("data: {")]
    assert "".join(delta.get("content", "") for delta in deltas) == "Tuesday"
    assert "".join(delta.get("reasoning_content", "") for delta in deltas).strip() == "late?"
    plain = asyncio.run(_full_response(ResponseEnvelope("x", 1, "m", "f"), _parts([AnswerChunk("A", 1, "stop")])))
    assert plain["choices"][0]["message"] == {"role": "assistant", "content": "A", "refusal": None}


async def _parts(pieces: list[AnswerChunk]) -> AsyncGenerator[ChatChunk, None]:
    ask: Any = SimpleNamespace(prompt=(1, 2))
    for piece in pieces:
        yield ChatChunk(ask, piece)
