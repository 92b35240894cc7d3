"""An answer as pieces of text with their token count: a chat completion, or the best label of a classifier."""

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
    """What is wanted of the model. `max_new_tokens` is at least 1 and leaves the prompt its place in the context."""

    prompt: tuple[int, ...]
    max_new_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: tuple[str, ...]


@dataclass(frozen=True)
class AnswerChunk:
    """Text to show, and how many tokens the model has written so far, its end token included. `finish` is set on the last.

    `thoughts` are what the model writes before its answer; stop strings do not end them.
    """

    text: str
    tokens: int
    finish: FinishReason | None = None
    thoughts: str = ""


def stream_answer(released: DecoderRelease, ask: AnswerRequest) -> Iterator[AnswerChunk]:
    """Pieces in order; exactly the last one has `finish`. Pieces without text keep a waiting server responsive."""
    return _label_chunks(released, ask) if released.options else _completion_chunks(released, ask)


def _label_chunks(released: DecoderRelease, ask: AnswerRequest) -> Iterator[AnswerChunk]:
    """The best label, whatever the sampling settings: a classifier has one answer."""
    (choice,) = released.model.choose([ask.prompt], released.options)
    yield AnswerChunk(released.labels[choice.index], len(released.options[choice.index]), "stop")


def _completion_chunks(released: DecoderRelease, ask: AnswerRequest) -> Iterator[AnswerChunk]:
    model = released.model
    decoder, start, stops = (
        IncrementalDetokenizer(model.tokenizer),
        answer_prefix_filter(model.tokenizer),
        StopStrings(ask.stop),
    )
    spoken = reasoning_stream(model.tokenizer)
    tokens = 0
    stream = model.stream(
        ask.prompt, max_new_tokens=ask.max_new_tokens, temperature=ask.temperature, top_p=ask.top_p, seed=ask.seed
    )
    for token in stream:
        tokens += 1
        if token in model.stops:
            text, thoughts = _flush(decoder, start, spoken, stops)
            yield AnswerChunk(text, tokens, "stop", thoughts)
            return
        thoughts, words = spoken.add(start.add(decoder.add(token)))
        text = stops.add(words)
        if stops.found:
            yield AnswerChunk(text, tokens, "stop", thoughts)
            return
        yield AnswerChunk(text, tokens, None, thoughts)
    text, thoughts = _flush(decoder, start, spoken, stops)
    yield AnswerChunk(text, tokens, "stop" if stops.found else "length", thoughts)


def _flush(
    decoder: IncrementalDetokenizer, start: AnswerPrefixFilter, spoken: ReasoningStream, stops: StopStrings
) -> tuple[str, str]:
    """(text, thoughts) that were held back, now that nothing follows."""
    first, last = spoken.add(start.add(decoder.rest()) + start.rest()), spoken.rest()
    text = stops.add(first.answer + last.answer)
    return text if stops.found else text + stops.held, first.thoughts + last.thoughts
