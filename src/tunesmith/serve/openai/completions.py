"""POST /v1/completions and /v1/chat/completions for an encoder-decoder: a source in, the target that it writes out."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
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
"""Characters of a prompt that is looked at."""

PromptText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PROMPT_CHARACTERS)]


class CompletionRequest(SamplingRequest):
    """`prompt` is a source or a list of them; the release's instruction is put before each. `max_tokens` is what was evaluated
    when left out."""

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
    """A piece of the answer to prompt `index`, of `prompt_tokens` tokens."""

    index: int
    prompt_tokens: int
    piece: AnswerChunk


def make_router(released: Seq2SeqRelease, worker: Worker, context: Context) -> APIRouter:
    """The routes over one release."""
    router = APIRouter(prefix="/v1", tags=["completions"])

    @router.post("/completions", response_model=None)
    async def complete(request: Request, body: CompletionRequest) -> Response:
        find_model(released, body.model)
        body.check()
        name = request.scope["state"]["request_id"]
        sampled = _sampling_options(body, body.max_tokens, seed=context.seed_for(f"serve/{name}"))
        parts = worker.run(
            lambda: _completion_chunks(released, body.prompts, sampled, param="prompt"), gone=request.is_disconnected
        )
        head = chat.response_envelope(released, context, name=f"cmpl-{name.removeprefix('req_')}")
        if body.stream:
            return await _stream_response(
                head, parts, with_usage=bool(body.stream_options and body.stream_options.include_usage)
            )
        return JSONResponse(await _full_response(head, parts))

    @router.post("/chat/completions", response_model=None)
    async def answer(request: Request, body: ChatRequest) -> Response:
        find_model(released, body.model)
        body.check()
        if body.stream:
            raise BadRequest("stream at /v1/completions; here the answer comes whole", param="stream")
        name = request.scope["state"]["request_id"]
        sampled = _sampling_options(body, body.limit, seed=context.seed_for(f"serve/{name}"))
        source = _single_user_message(body)
        parts = worker.run(
            lambda: _completion_chunks(released, (source,), sampled, param="messages"), gone=request.is_disconnected
        )
        head = chat.response_envelope(released, context, name=f"chatcmpl-{name.removeprefix('req_')}")
        return JSONResponse(await _chat_response(head, parts))

    return router


def _single_user_message(body: ChatRequest) -> str:
    """Raises BadRequest for anything but one message of the user's."""
    turns = body.conversation()
    if [turn.role for turn in turns] != ["user"]:
        said = "this model takes one user message: it turns a source into a target and has no conversation"
        raise BadRequest(said, param="messages", code="unsupported_value")
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
    released: Seq2SeqRelease, prompts: tuple[str, ...], sampled: SamplingOptions, *, param: str
) -> Iterator[CompletionChunk]:
    """In the model's thread: every prompt is read before the first is answered, so that nothing is half done when one is bad."""
    several = param == "prompt" and len(prompts) > 1
    sources = [
        source_ids(released, text, param=f"{param}.{index}" if several else param) for index, text in enumerate(prompts)
    ]
    for index, source in enumerate(sources):
        for piece in stream_target(released, source, sampled):
            yield CompletionChunk(index, len(source), piece)


@dataclass
class _PromptAnswers:
    """What has come so far, by prompt."""

    texts: dict[int, str]
    ends: dict[int, CompletionChunk]

    def add(self, part: CompletionChunk) -> None:
        self.texts[part.index] = self.texts.get(part.index, "") + part.piece.text
        self.ends[part.index] = part

    def usage(self) -> dict[str, int]:
        """Exact counts; the end token that the model wrote is one of its tokens."""
        prompt = sum(part.prompt_tokens for part in self.ends.values())
        written = sum(part.piece.tokens for part in self.ends.values())
        return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


async def _collect_answers(parts: AsyncGenerator[CompletionChunk, None]) -> _PromptAnswers:
    answers = _PromptAnswers({}, {})
    async for part in parts:
        answers.add(part)
    return answers


async def _full_response(head: chat.ResponseEnvelope, parts: AsyncGenerator[CompletionChunk, None]) -> dict[str, Any]:
    answers = await _collect_answers(parts)
    choices = [_choice(index, text, answers.ends[index].piece.finish) for index, text in answers.texts.items()]
    return {**head.wrap("text_completion", choices), "usage": answers.usage()}


async def _chat_response(head: chat.ResponseEnvelope, parts: AsyncGenerator[CompletionChunk, None]) -> dict[str, Any]:
    answers = await _collect_answers(parts)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answers.texts[0], "refusal": None},
        "logprobs": None,
        "finish_reason": answers.ends[0].piece.finish,
    }
    return {**head.wrap("chat.completion", [choice]), "usage": answers.usage()}


def _choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


async def _stream_response(
    head: chat.ResponseEnvelope, parts: AsyncGenerator[CompletionChunk, None], *, with_usage: bool
) -> Response:
    """The first piece is waited for, so that a refused request has a status."""
    first = await anext(parts)
    events = _event_stream(head, first, parts, with_usage=with_usage)
    return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})


async def _event_stream(
    head: chat.ResponseEnvelope,
    first: CompletionChunk,
    parts: AsyncGenerator[CompletionChunk, None],
    *,
    with_usage: bool,
) -> AsyncIterator[str]:
    """A chunk for every piece, then the usage when asked for, then [DONE]."""
    answers = _PromptAnswers({}, {})
    told: Callable[[CompletionChunk], str] = lambda part: chat.server_sent_event(  # noqa: E731
        head.wrap("text_completion", [_choice(part.index, part.piece.text, part.piece.finish)])
    )
    answers.add(first)
    yield told(first)
    try:
        async for part in parts:
            answers.add(part)
            if part.piece.text or part.piece.finish:
                yield told(part)
    except TunesmithError as error:
        yield chat.server_sent_event(errors.error_body(str(error), status=error.http_status))
        return
    finally:
        await parts.aclose()
    if with_usage:
        yield chat.server_sent_event({**head.wrap("text_completion", []), "usage": answers.usage()})
    yield "data: [DONE]\n\n"
