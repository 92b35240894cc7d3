"""Reasoning is separated from the answer, in a stream and in a full response; stop strings apply to the answer only."""

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


def chunks_of(text: str, *, opened: bool = False, stop: tuple[str, ...] = (), ended: bool = True) -> list[AnswerChunk]:
    """The chunks served for a model that generates `text`; `opened`: the template opens the reasoning."""
    TOKENIZER.chat_template = VETTED_TEMPLATES["plain"].text.replace(
        "<|assistant|>\\n' -}}", "<|assistant|>\\n<think>\\n' -}}" if opened else "<|assistant|>\\n' -}}"
    )
    ids = [*TOKENIZER.encode(text, add_special_tokens=False), *([TOKENIZER.eos_token_id] if ended else [])]
    model = SimpleNamespace(tokenizer=TOKENIZER, stops={TOKENIZER.eos_token_id}, stream=lambda *_, **__: iter(ids))
    released: Any = SimpleNamespace(model=model, options=())
    return list(stream_answer(released, AnswerRequest((1,), 99, 0.0, 1.0, 0, stop)))


def joined(chunks: list[AnswerChunk]) -> tuple[str, str]:
    return "".join(chunk.reasoning for chunk in chunks).strip(), "".join(chunk.text for chunk in chunks)


@pytest.mark.parametrize(
    ("text", "opened", "reasoning", "answer"),
    [
        ("<think>\nlate?\n</think>\n\nTuesday", False, "late?", "Tuesday"),
        ("late?\n</think>\n\nTuesday", True, "late?", "Tuesday"),
        ("Tuesday <think> no", False, "", "Tuesday <think> no"),
        ("late, and no end", True, "late, and no end", ""),
        ("<think>\n\n</think>\n\nTuesday", False, "", "Tuesday"),
    ],
)
@pytest.mark.parametrize("ended", [True, False])
def test_reasoning_and_answer_are_separated(text: str, opened: bool, reasoning: str, answer: str, ended: bool) -> None:
    chunks = chunks_of(text, opened=opened, ended=ended)
    assert joined(chunks) == (reasoning, answer)
    assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish == ("stop" if ended else "length")


def test_a_stop_string_ends_the_answer_but_not_the_reasoning() -> None:
    chunks = chunks_of("<think>my END order</think>the END kettle", stop=("END",))
    assert joined(chunks) == ("my END order", "the ")
    assert chunks[-1].finish == "stop"


def test_reasoning_is_sent_as_reasoning_content() -> None:
    chunks = chunks_of("<think>\nlate?\n</think>\n\nTuesday")

    async def both() -> tuple[dict[str, Any], list[str]]:
        envelope = ResponseEnvelope("chatcmpl-x", 1, "m:1", "f")
        response = await _full_response(envelope, _chat_chunks(chunks))
        rest = _chat_chunks(chunks)
        first = await anext(rest)
        return response, [event async for event in _event_stream(envelope, first, rest, with_usage=False)]

    response, events = asyncio.run(both())
    message = response["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("Tuesday", "late?")
    deltas = [json.loads(event[6:])["choices"][0]["delta"] for event in events if event.startswith("data: {")]
    assert "".join(delta.get("content", "") for delta in deltas) == "Tuesday"
    assert "".join(delta.get("reasoning_content", "") for delta in deltas).strip() == "late?"
    plain = asyncio.run(_full_response(ResponseEnvelope("x", 1, "m", "f"), _chat_chunks([AnswerChunk("A", 1, "stop")])))
    assert plain["choices"][0]["message"] == {"role": "assistant", "content": "A", "refusal": None}


async def _chat_chunks(chunks: list[AnswerChunk]) -> AsyncGenerator[ChatChunk, None]:
    request: Any = SimpleNamespace(prompt=(1, 2))
    for chunk in chunks:
        yield ChatChunk(request, chunk)
