"""Streamed answers of an encoder-decoder release: the target generated from one source."""

from collections.abc import Iterator
from dataclasses import dataclass

from tunesmith.artifacts import Example, Row
from tunesmith.errors import DataError
from tunesmith.serve.answer import AnswerChunk
from tunesmith.serve.detokenize import IncrementalDetokenizer, StopStrings
from tunesmith.serve.loaded_release import Seq2SeqRelease
from tunesmith.serve.openai.errors import BadRequest


@dataclass(frozen=True)
class SamplingOptions:
    """How a target is generated. `max_new_tokens` None uses the limit of the evaluation."""

    max_new_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


def source_ids(released: Seq2SeqRelease, text: str, *, param: str) -> tuple[int, ...]:
    """Token ids of the source, the task's instruction first. Raises BadRequest for an empty or over-long source."""
    model = released.model
    row = Row(row_id="0", file="input", line=1, example=Example(text=text))
    try:
        return released.task.question(row, model.tokenizer, window=model.context).source
    except DataError as error:
        code = "context_length_exceeded" if "the context holds" in error.what else None
        raise BadRequest(error.what.replace("row 0", "the input", 1), param=param, code=code) from error


def stream_target(released: Seq2SeqRelease, source: tuple[int, ...], options: SamplingOptions) -> Iterator[AnswerChunk]:
    """Yield chunks in order; only the last one has `finish`."""
    model = released.model
    detokenizer, stops = IncrementalDetokenizer(model.tokenizer), StopStrings(options.stop)
    limit = released.max_new_tokens if options.max_new_tokens is None else options.max_new_tokens
    tokens = 0
    for token in model.stream(
        source, max_new_tokens=limit, temperature=options.temperature, top_p=options.top_p, seed=options.seed
    ):
        tokens += 1
        if token in model.stops:
            yield AnswerChunk(stops.add_last(detokenizer.flush()), tokens, "stop")
            return
        text = stops.add(detokenizer.add(token))
        if stops.matched:
            yield AnswerChunk(text, tokens, "stop")
            return
        yield AnswerChunk(text, tokens)
    text = stops.add_last(detokenizer.flush())
    yield AnswerChunk(text, tokens, "stop" if stops.matched else "length")
