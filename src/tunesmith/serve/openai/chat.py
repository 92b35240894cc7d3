"""POST /v1/chat/completions for a decoder, as one response or as server-sent events."""

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
    """The fields that every object of one answer repeats."""

    id: str
    created: int
    model: str
    fingerprint: str

    def wrap(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        """A completion or chunk object with these choices."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": choices,
        }


def response_envelope(released: DecoderRelease | Seq2SeqRelease, context: Context, *, name: str) -> ResponseEnvelope:
    """The envelope of an answer that is created now."""
    created = int(context.clock.now().timestamp())
    return ResponseEnvelope(id=name, created=created, model=released.id, fingerprint=released.model.digest[:19])


class ChatChunk(NamedTuple):
    """The next text of an answer, and the request that it answers."""

    request: AnswerRequest
    answer: AnswerChunk


def make_router(released: DecoderRelease, worker: Worker, context: Context) -> APIRouter:
    """The route for one release."""
    router = APIRouter(prefix="/v1/chat", tags=["chat"])

    @router.post("/completions", response_model=None)
    async def create(request: Request, body: ChatRequest) -> Response:
        find_model(released, body.model)
        body.check()
        name = request.scope["state"]["request_id"]
        seed = context.seed_for(f"serve/{name}")
        envelope = response_envelope(released, context, name=f"chatcmpl-{name.removeprefix('req_')}")
        chunks = worker.run(lambda: _chat_chunks(released, body, seed=seed), is_disconnected=request.is_disconnected)
        if not body.stream:
            return JSONResponse(await _full_response(envelope, chunks))
        first = await anext(chunks)  # before the response starts, so that an error gets its HTTP status
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        events = _event_stream(envelope, first, chunks, with_usage=with_usage)
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})

    return router


def _chat_chunks(released: DecoderRelease, body: ChatRequest, *, seed: int) -> Iterator[ChatChunk]:
    """Tokenize and answer a request. Both run in the model's thread, because tokenizing a long conversation takes a while."""
    request = _answer_request(released, body, seed=seed)
    for answer in stream_answer(released, request):
        yield ChatChunk(request, answer)


def _answer_request(released: DecoderRelease, body: ChatRequest, *, seed: int) -> AnswerRequest:
    """The request in tokens. Raises BadRequest if the template rejects the messages or they do not fit the context."""
    try:
        prompt = prompt_ids(released.model.tokenizer, released.conversation(body.conversation()))
    except TemplateError as error:
        raise BadRequest(f"the chat template rejects these messages: {error}", param="messages") from error
    longest_label = max(map(len, released.options), default=1)
    remaining = released.model.context - len(prompt)
    if remaining < longest_label:
        raise BadRequest(
            f"This model's maximum context length is {released.model.context} tokens; your messages have {len(prompt)}, "
            f"and the answer needs at least {longest_label}",
            param="messages",
            code="context_length_exceeded",
        )
    return AnswerRequest(
        prompt=tuple(prompt),
        max_new_tokens=remaining if body.limit is None else min(body.limit, remaining),
        temperature=0.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        seed=seed if body.seed is None else body.seed,
        stop=body.stop_strings,
    )


def _usage(last: ChatChunk) -> dict[str, int]:
    """Exact token counts; a generated end token is counted."""
    prompt, tokens = len(last.request.prompt), last.answer.tokens
    return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}


async def _full_response(envelope: ResponseEnvelope, chunks: AsyncGenerator[ChatChunk, None]) -> dict[str, Any]:
    collected = [chunk async for chunk in chunks]
    text = "".join(chunk.answer.text for chunk in collected)
    reasoning = "".join(chunk.answer.reasoning for chunk in collected).strip()
    extra = {"reasoning_content": reasoning} if reasoning else {}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None, **extra},
        "logprobs": None,
        "finish_reason": collected[-1].answer.finish,
    }
    return {**envelope.wrap("chat.completion", [choice]), "usage": _usage(collected[-1])}


async def _event_stream(
    envelope: ResponseEnvelope, first: ChatChunk, chunks: AsyncGenerator[ChatChunk, None], *, with_usage: bool
) -> AsyncIterator[str]:
    """Yield the role, the text, the finish reason, the usage if requested, then [DONE].

    After the response has started, an error can no longer set the HTTP status. It is sent as an event, which clients raise.
    """
    extra = {"usage": None} if with_usage else {}

    def delta_event(delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return server_sent_event({**envelope.wrap("chat.completion.chunk", [choice]), **extra})

    yield delta_event({"role": "assistant", "content": ""})
    for delta in _deltas(first.answer):
        yield delta_event(delta)
    last = first
    try:
        async for chunk in chunks:
            last = chunk
            for delta in _deltas(chunk.answer):
                yield delta_event(delta)
    except TunesmithError as error:
        yield server_sent_event(errors.error_body(str(error), status=error.http_status))
        return
    finally:
        await chunks.aclose()
    yield delta_event({}, last.answer.finish)
    if with_usage:
        yield server_sent_event({**envelope.wrap("chat.completion.chunk", []), "usage": _usage(last)})
    yield "data: [DONE]\n\n"


def _deltas(answer: AnswerChunk) -> list[dict[str, str]]:
    """The deltas of a chunk. Reasoning goes under the key that clients of reasoning models read."""
    texts = {"reasoning_content": answer.reasoning, "content": answer.text}
    return [{key: text} for key, text in texts.items() if text]


def server_sent_event(value: dict[str, Any]) -> str:
    """One server-sent event with JSON data."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
