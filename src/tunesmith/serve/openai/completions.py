"""POST /v1/completions and /v1/chat/completions for an encoder-decoder, which turns a source into a target."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import Field, StringConstraints

from tunesmith.context import Context
from tunesmith.errors import TunesmithError
from tunesmith.serve.answer import AnswerChunk
from tunesmith.serve.loaded_release import Seq2SeqRelease
from tunesmith.serve.openai import chat, errors
from tunesmith.serve.openai.errors import BadRequest
from tunesmith.serve.openai.models import find_model
from tunesmith.serve.openai.requests import ChatRequest, SamplingRequest
from tunesmith.serve.seq2seq import SamplingOptions, source_ids, stream_target
from tunesmith.serve.worker import Worker

MAX_PROMPTS: Final = 256
MAX_PROMPT_CHARACTERS: Final = 200_000
"""Longer prompts are rejected before they are tokenized."""

PromptText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PROMPT_CHARACTERS)]


class CompletionRequest(SamplingRequest):
    """`prompt` is a source or a list of them; the release's instruction is put before each. The default of `max_tokens` is the
    limit of the evaluation."""

    neutral: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "n": (None, 1),
        "best_of": (None, 1),
        "echo": (None, False),
        "logprobs": (None, 0),
        "suffix": (None, ""),
        "logit_bias": (None, {}),
        "presence_penalty": (None, 0),
        "frequency_penalty": (None, 0),
    }

    prompt: PromptText | Annotated[tuple[PromptText, ...], Field(min_length=1, max_length=MAX_PROMPTS)]
    n: Any = None
    best_of: Any = None
    echo: Any = None
    logprobs: Any = None
    suffix: Any = None
    logit_bias: Any = None
    presence_penalty: Any = None
    frequency_penalty: Any = None

    @property
    def prompts(self) -> tuple[str, ...]:
        return (self.prompt,) if isinstance(self.prompt, str) else self.prompt


@dataclass(frozen=True)
class CompletionChunk:
    """The next text of the answer to prompt `index`, which has `prompt_tokens` tokens."""

    index: int
    prompt_tokens: int
    answer: AnswerChunk


def make_router(released: Seq2SeqRelease, worker: Worker, context: Context) -> APIRouter:
    """The routes for one release."""
    router = APIRouter(prefix="/v1", tags=["completions"])

    @router.post("/completions", response_model=None)
    async def complete(request: Request, body: CompletionRequest) -> Response:
        find_model(released, body.model)
        body.check()
        name = request.scope["state"]["request_id"]
        options = _sampling_options(body, body.max_tokens, seed=context.seed_for(f"serve/{name}"))
        chunks = worker.run(
            lambda: _completion_chunks(released, body.prompts, options, param="prompt"),
            is_disconnected=request.is_disconnected,
        )
        envelope = chat.response_envelope(released, context, name=f"cmpl-{name.removeprefix('req_')}")
        if body.stream:
            return await _stream_response(
                envelope, chunks, with_usage=bool(body.stream_options and body.stream_options.include_usage)
            )
        return JSONResponse(await _full_response(envelope, chunks))

    @router.post("/chat/completions", response_model=None)
    async def answer(request: Request, body: ChatRequest) -> Response:
        find_model(released, body.model)
        body.check()
        if body.stream:
            raise BadRequest(
                "this model does not stream chat completions; use POST /v1/completions to stream", param="stream"
            )
        name = request.scope["state"]["request_id"]
        options = _sampling_options(body, body.limit, seed=context.seed_for(f"serve/{name}"))
        source = _single_user_message(body)
        chunks = worker.run(
            lambda: _completion_chunks(released, (source,), options, param="messages"),
            is_disconnected=request.is_disconnected,
        )
        envelope = chat.response_envelope(released, context, name=f"chatcmpl-{name.removeprefix('req_')}")
        return JSONResponse(await _chat_response(envelope, chunks))

    return router


def _single_user_message(body: ChatRequest) -> str:
    """The text of the only message. Raises BadRequest for anything but one user message."""
    turns = body.conversation()
    if [turn.role for turn in turns] != ["user"]:
        what = "this model takes exactly one user message: it turns a source into a target and keeps no conversation"
        raise BadRequest(what, param="messages", code="unsupported_value")
    return turns[0].text


def _sampling_options(body: CompletionRequest | ChatRequest, limit: int | None, *, seed: int) -> SamplingOptions:
    return SamplingOptions(
        max_new_tokens=limit,
        temperature=0.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        seed=seed if body.seed is None else body.seed,
        stop=body.stop_strings,
    )


def _completion_chunks(
    released: Seq2SeqRelease, prompts: tuple[str, ...], options: SamplingOptions, *, param: str
) -> Iterator[CompletionChunk]:
    """Tokenize and answer the prompts in the model's thread. All prompts are tokenized first, so that a bad one is rejected
    before any answer."""
    indexed = param == "prompt" and len(prompts) > 1
    sources = [
        source_ids(released, text, param=f"{param}.{index}" if indexed else param) for index, text in enumerate(prompts)
    ]
    for index, source in enumerate(sources):
        for answer in stream_target(released, source, options):
            yield CompletionChunk(index, len(source), answer)


@dataclass
class _PromptAnswers:
    """The text and the last chunk of each answer so far, by prompt index."""

    texts: dict[int, str]
    last_chunks: dict[int, CompletionChunk]

    def add(self, chunk: CompletionChunk) -> None:
        self.texts[chunk.index] = self.texts.get(chunk.index, "") + chunk.answer.text
        self.last_chunks[chunk.index] = chunk

    def usage(self) -> dict[str, int]:
        """Exact token counts; a generated end token is counted."""
        prompt = sum(chunk.prompt_tokens for chunk in self.last_chunks.values())
        completion = sum(chunk.answer.tokens for chunk in self.last_chunks.values())
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


async def _collect_answers(chunks: AsyncGenerator[CompletionChunk, None]) -> _PromptAnswers:
    answers = _PromptAnswers({}, {})
    async for chunk in chunks:
        answers.add(chunk)
    return answers


async def _full_response(
    envelope: chat.ResponseEnvelope, chunks: AsyncGenerator[CompletionChunk, None]
) -> dict[str, Any]:
    answers = await _collect_answers(chunks)
    choices = [_choice(index, text, answers.last_chunks[index].answer.finish) for index, text in answers.texts.items()]
    return {**envelope.wrap("text_completion", choices), "usage": answers.usage()}


async def _chat_response(
    envelope: chat.ResponseEnvelope, chunks: AsyncGenerator[CompletionChunk, None]
) -> dict[str, Any]:
    answers = await _collect_answers(chunks)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answers.texts[0], "refusal": None},
        "logprobs": None,
        "finish_reason": answers.last_chunks[0].answer.finish,
    }
    return {**envelope.wrap("chat.completion", [choice]), "usage": answers.usage()}


def _choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


async def _stream_response(
    envelope: chat.ResponseEnvelope, chunks: AsyncGenerator[CompletionChunk, None], *, with_usage: bool
) -> Response:
    """Stream the chunks. The first is awaited before the response starts, so that an error gets its HTTP status."""
    first = await anext(chunks)
    events = _event_stream(envelope, first, chunks, with_usage=with_usage)
    return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})


async def _event_stream(
    envelope: chat.ResponseEnvelope,
    first: CompletionChunk,
    chunks: AsyncGenerator[CompletionChunk, None],
    *,
    with_usage: bool,
) -> AsyncIterator[str]:
    """Yield an event per chunk, the usage if requested, then [DONE]."""
    answers = _PromptAnswers({}, {})

    def chunk_event(chunk: CompletionChunk) -> str:
        choice = _choice(chunk.index, chunk.answer.text, chunk.answer.finish)
        return chat.server_sent_event(envelope.wrap("text_completion", [choice]))

    answers.add(first)
    yield chunk_event(first)
    try:
        async for chunk in chunks:
            answers.add(chunk)
            if chunk.answer.text or chunk.answer.finish:
                yield chunk_event(chunk)
    except TunesmithError as error:
        yield chat.server_sent_event(errors.error_body(str(error), status=error.http_status))
        return
    finally:
        await chunks.aclose()
    if with_usage:
        yield chat.server_sent_event({**envelope.wrap("text_completion", []), "usage": answers.usage()})
    yield "data: [DONE]\n\n"
