"""An answer as pieces of text with their token count: a chat completion, or the best label of a classifier."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tunesmith.data.openings import Opening, opening, thought_stream
from tunesmith.data.thoughts import ThoughtStream
from tunesmith.serve.released import Released
from tunesmith.serve.text import Decoder, StopStrings

Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Ask:
    """What is wanted of the model. `max_new_tokens` is at least 1 and leaves the prompt its place in the context."""

    prompt: tuple[int, ...]
    max_new_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: tuple[str, ...]


@dataclass(frozen=True)
class Piece:
    """Text to show, and how many tokens the model has written so far, its end token included. `finish` is set on the last.

    `thoughts` are what the model writes before its answer; stop strings do not end them.
    """

    text: str
    tokens: int
    finish: Finish | None = None
    thoughts: str = ""


def answer(released: Released, ask: Ask) -> Iterator[Piece]:
    """Pieces in order; exactly the last one has `finish`. Pieces without text keep a waiting server responsive."""
    return _label(released, ask) if released.options else _completion(released, ask)


def _label(released: Released, ask: Ask) -> Iterator[Piece]:
    """The best label, whatever the sampling settings: a classifier has one answer."""
    (choice,) = released.model.choose([ask.prompt], released.options)
    yield Piece(released.labels[choice.index], len(released.options[choice.index]), "stop")


def _completion(released: Released, ask: Ask) -> Iterator[Piece]:
    model = released.model
    decoder, start, stops = Decoder(model.tokenizer), opening(model.tokenizer), StopStrings(ask.stop)
    spoken = thought_stream(model.tokenizer)
    tokens = 0
    stream = model.stream(
        ask.prompt, max_new_tokens=ask.max_new_tokens, temperature=ask.temperature, top_p=ask.top_p, seed=ask.seed
    )
    for token in stream:
        tokens += 1
        if token in model.stops:
            text, thoughts = _ending(decoder, start, spoken, stops)
            yield Piece(text, tokens, "stop", thoughts)
            return
        thoughts, words = spoken.add(start.add(decoder.add(token)))
        text = stops.add(words)
        if stops.found:
            yield Piece(text, tokens, "stop", thoughts)
            return
        yield Piece(text, tokens, None, thoughts)
    text, thoughts = _ending(decoder, start, spoken, stops)
    yield Piece(text, tokens, "stop" if stops.found else "length", thoughts)


def _ending(decoder: Decoder, start: Opening, spoken: ThoughtStream, stops: StopStrings) -> tuple[str, str]:
    """(text, thoughts) that were held back, now that nothing follows."""
    first, last = spoken.add(start.add(decoder.rest()) + start.rest()), spoken.rest()
    text = stops.add(first.answer + last.answer)
    return text if stops.found else text + stops.held, first.thoughts + last.thoughts
