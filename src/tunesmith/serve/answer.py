"""An answer as pieces of text with their token count: a chat completion, or the best label of a classifier."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tunesmith.data.openings import Opening, opening
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
    """Text to show, and how many tokens the model has written so far, its end token included. `finish` is set on the last."""

    text: str
    tokens: int
    finish: Finish | None = None


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
    tokens = 0
    stream = model.stream(
        ask.prompt, max_new_tokens=ask.max_new_tokens, temperature=ask.temperature, top_p=ask.top_p, seed=ask.seed
    )
    for token in stream:
        tokens += 1
        if token in model.stops:
            yield Piece(_ending(decoder, start, stops), tokens, "stop")
            return
        text = stops.add(start.add(decoder.add(token)))
        if stops.found:
            yield Piece(text, tokens, "stop")
            return
        yield Piece(text, tokens)
    text = _ending(decoder, start, stops)
    yield Piece(text, tokens, "stop" if stops.found else "length")


def _ending(decoder: Decoder, start: Opening, stops: StopStrings) -> str:
    """What was held back, now that nothing follows."""
    text = stops.add(start.add(decoder.rest()) + start.rest())
    return text if stops.found else text + stops.held
