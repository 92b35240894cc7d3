"""POST /v1/chat/completions, whole or as server-sent events."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from jinja2.exceptions import TemplateError

from tunesmith.chat.encode import prompt_ids
from tunesmith.context import Context
from tunesmith.errors import TunesmithError
from tunesmith.serve.answer import AnswerChunk, AnswerRequest, stream_answer
from tunesmith.serve.loaded_release import DecoderRelease, Seq2SeqRelease
from tunesmith.serve.openai import errors
from tunesmith.serve.openai.errors import BadRequest
from tunesmith.serve.openai.models import find_model
from tunesmith.serve.openai.requests import ChatRequest
from tunesmith.serve.worker import Worker


@dataclass(frozen=True)
class ResponseEnvelope:
    """What every object of one answer repeats."""

    id: str
    created: int
    model: str
    fingerprint: str

    def wrap(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        """A completion or chunk around its choices."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        }


def response_envelope(released: DecoderRelease | Seq2SeqRelease, context: Context, *, name: str) -> ResponseEnvelope:
    """The head of an answer that begins now."""
    created = int(context.clock.now().timestamp())
    return ResponseEnvelope(id=name, created=created, model=released.id, fingerprint=released.model.digest[:19])


class ChatChunk(NamedTuple):
    """A piece of an answer, and what was asked."""

    ask: AnswerRequest
    piece: AnswerChunk


def make_router(released: DecoderRelease, worker: Worker, context: Context) -> APIRouter:
    """The route over one release."""
    router = APIRouter(prefix="/v1/chat", tags=["chat"])

    @router.post("/completions", response_model=None)
    async def create(request: Request, body: ChatRequest) -> Response:
        find_model(released, body.model)
        body.check()
        name = request.scope["state"]["request_id"]
        seed = context.seed_for(f"serve/{name}")
        head = response_envelope(released, context, name=f"chatcmpl-{name.removeprefix('req_')}")
        parts = worker.run(lambda: _chat_chunks(released, body, seed=seed), gone=request.is_disconnected)
        if not body.stream:
            return JSONResponse(await _full_response(head, parts))
        first = await anext(parts)  # a refused request has a status
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        events = _event_stream(head, first, parts, with_usage=with_usage)
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})

    return router


def _chat_chunks(released: DecoderRelease, body: ChatRequest, *, seed: int) -> Iterator[ChatChunk]:
    """In the model's thread, for a long conversation takes a while to become tokens."""
    ask = _answer_request(released, body, seed=seed)
    for piece in stream_answer(released, ask):
        yield ChatChunk(ask, piece)


def _answer_request(released: DecoderRelease, body: ChatRequest, *, seed: int) -> AnswerRequest:
    """The request in tokens. Raises BadRequest when the template or the context cannot take the messages."""
    try:
        prompt = prompt_ids(released.model.tokenizer, released.conversation(body.conversation()))
    except TemplateError as error:
        raise BadRequest(f"the chat template refuses these messages: {error}", param="messages") from error
    longest_label = max(map(len, released.options), default=1)
    room = released.model.context - len(prompt)
    if room < longest_label:
        raise BadRequest(
            f"This model's maximum context length is {released.model.context} tokens; your messages have {len(prompt)}, "
            f"and the answer needs at least {longest_label}",
            param="messages",
            code="context_length_exceeded",
        )
    return AnswerRequest(
        prompt=tuple(prompt),
        max_new_tokens=room if body.limit is None else min(body.limit, room),
        temperature=0.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        seed=seed if body.seed is None else body.seed,
        stop=body.stop_strings,
    )


def _usage(last: ChatChunk) -> dict[str, int]:
    """Exact counts; the end token that the model wrote is one of its tokens."""
    prompt, tokens = len(last.ask.prompt), last.piece.tokens
    return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}


async def _full_response(head: ResponseEnvelope, parts: AsyncGenerator[ChatChunk, None]) -> dict[str, Any]:
    found = [part async for part in parts]
    text = "".join(part.piece.text for part in found)
    said = "".join(part.piece.thoughts for part in found).strip()
    thought = {"reasoning_content": said} if said else {}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None, **thought},
        "logprobs": None,
        "finish_reason": found[-1].piece.finish,
    }
    return {**head.wrap("chat.completion", [choice]), "usage": _usage(found[-1])}


async def _event_stream(
    head: ResponseEnvelope, first: ChatChunk, parts: AsyncGenerator[ChatChunk, None], *, with_usage: bool
) -> AsyncIterator[str]:
    """Role first, then text, then the reason it ended, then (when asked for) the usage, then [DONE].

    An error after the start can no longer be a status; it travels as an event, which clients raise.
    """
    extra = {"usage": None} if with_usage else {}

    def chunk(delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return server_sent_event({**head.wrap("chat.completion.chunk", [choice]), **extra})

    yield chunk({"role": "assistant", "content": ""})
    for delta in _deltas(first.piece):
        yield chunk(delta)
    last = first
    try:
        async for part in parts:
            last = part
            for delta in _deltas(part.piece):
                yield chunk(delta)
    except TunesmithError as error:
        yield server_sent_event(errors.error_body(str(error), status=error.http_status))
        return
    finally:
        await parts.aclose()
    yield chunk({}, last.piece.finish)
    if with_usage:
        yield server_sent_event({**head.wrap("chat.completion.chunk", []), "usage": _usage(last)})
    yield "data: [DONE]\n\n"


def _deltas(piece: AnswerChunk) -> list[dict[str, str]]:
    """What a piece adds to the message; thoughts under the key that clients of thinking models read."""
    named = {"reasoning_content": piece.thoughts, "content": piece.text}
    return [{name: text} for name, text in named.items() if text]


def server_sent_event(value: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
