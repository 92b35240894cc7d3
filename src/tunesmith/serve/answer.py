"""A decoder's answer as a stream of text chunks with token counts: a chat completion, or the best label of a classifier."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tunesmith.chat.answer_prefix import AnswerPrefixFilter, answer_prefix_filter, reasoning_stream
from tunesmith.serve.detokenize import IncrementalDetokenizer, StopStrings
from tunesmith.serve.loaded_release import DecoderRelease
from tunesmith.text.reasoning import ReasoningStream

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class AnswerRequest:
    """A prompt in tokens and how to answer it. `max_new_tokens` is at least 1; prompt and answer together fit the context."""

    prompt: tuple[int, ...]
    max_new_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: tuple[str, ...]


@dataclass(frozen=True)
class AnswerChunk:
    """The next text of an answer. `tokens` counts all tokens generated so far, end token included. `finish` is set on the last
    chunk.

    `reasoning` is the next text of the reasoning before the answer. Stop strings do not apply to it.
    """

    text: str
    tokens: int
    finish: FinishReason | None = None
    reasoning: str = ""


def stream_answer(released: DecoderRelease, request: AnswerRequest) -> Iterator[AnswerChunk]:
    """Yield chunks in order; only the last one has `finish`. Chunks without text let the server check for a lost client."""
    return _label_chunks(released, request) if released.options else _completion_chunks(released, request)


def _label_chunks(released: DecoderRelease, request: AnswerRequest) -> Iterator[AnswerChunk]:
    """The most likely label. Sampling settings do not apply to a classifier."""
    (choice,) = released.model.choose([request.prompt], released.options)
    yield AnswerChunk(released.labels[choice.index], len(released.options[choice.index]), "stop")


def _completion_chunks(released: DecoderRelease, request: AnswerRequest) -> Iterator[AnswerChunk]:
    model = released.model
    detokenizer, prefix = IncrementalDetokenizer(model.tokenizer), answer_prefix_filter(model.tokenizer)
    stops, splitter = StopStrings(request.stop), reasoning_stream(model.tokenizer)
    tokens = 0
    stream = model.stream(
        request.prompt,
        max_new_tokens=request.max_new_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        seed=request.seed,
    )
    for token in stream:
        tokens += 1
        if token in model.stops:
            text, reasoning = _flush(detokenizer, prefix, splitter, stops)
            yield AnswerChunk(text, tokens, "stop", reasoning)
            return
        reasoning, answer = splitter.add(prefix.add(detokenizer.add(token)))
        text = stops.add(answer)
        if stops.matched:
            yield AnswerChunk(text, tokens, "stop", reasoning)
            return
        yield AnswerChunk(text, tokens, None, reasoning)
    text, reasoning = _flush(detokenizer, prefix, splitter, stops)
    yield AnswerChunk(text, tokens, "stop" if stops.matched else "length", reasoning)


def _flush(
    detokenizer: IncrementalDetokenizer, prefix: AnswerPrefixFilter, splitter: ReasoningStream, stops: StopStrings
) -> tuple[str, str]:
    """(answer text, reasoning text) that the filters still held back at the end of the stream."""
    first, last = splitter.add(prefix.add(detokenizer.flush()) + prefix.flush()), splitter.flush()
    return stops.add_last(first.answer + last.answer), first.reasoning + last.reasoning
