"""What a release of an encoder-decoder writes to one source, piece by piece."""

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
    """How an answer is written. `max_new_tokens` None: as many as were evaluated."""

    max_new_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


def source_ids(released: Seq2SeqRelease, text: str, *, param: str) -> tuple[int, ...]:
    """The source in tokens, the task's instruction first. Raises BadRequest for one that is empty or too long."""
    model = released.model
    row = Row(row_id="0", file="input", line=1, example=Example(text=text))
    try:
        return released.task.question(row, model.tokenizer, window=model.context).source
    except DataError as error:
        code = "context_length_exceeded" if "the context holds" in error.what else None
        raise BadRequest(error.what.replace("row 0", "the input", 1), param=param, code=code) from error


def stream_target(released: Seq2SeqRelease, source: tuple[int, ...], sampled: SamplingOptions) -> Iterator[AnswerChunk]:
    """Pieces in order; exactly the last one has `finish`."""
    model = released.model
    decoder, stops = IncrementalDetokenizer(model.tokenizer), StopStrings(sampled.stop)
    most = released.max_new_tokens if sampled.max_new_tokens is None else sampled.max_new_tokens
    tokens = 0
    for token in model.stream(
        source, max_new_tokens=most, temperature=sampled.temperature, top_p=sampled.top_p, seed=sampled.seed
    ):
        tokens += 1
        if token in model.stops:
            text = stops.add(decoder.rest())
            yield AnswerChunk(text if stops.found else text + stops.held, tokens, "stop")
            return
        text = stops.add(decoder.add(token))
        if stops.found:
            yield AnswerChunk(text, tokens, "stop")
            return
        yield AnswerChunk(text, tokens)
    text = stops.add(decoder.rest())
    yield AnswerChunk(text if stops.found else text + stops.held, tokens, "stop" if stops.found else "length")
