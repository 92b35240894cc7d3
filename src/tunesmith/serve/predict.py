"""POST /v1/classify and /v1/tag for an encoder: labels of texts, tags of words."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from tunesmith.artifacts import Example, Row
from tunesmith.errors import DataError
from tunesmith.models.tasks.padded import EncoderRow
from tunesmith.scoring.entities import find_entities
from tunesmith.serve.loaded_release import EncoderRelease
from tunesmith.serve.openai.errors import BadRequest
from tunesmith.serve.openai.models import find_model
from tunesmith.serve.openai.requests import PositiveCount
from tunesmith.serve.worker import Worker

MAX_TEXTS: Final = 256
MAX_TEXT_CHARACTERS: Final = 200_000
"""Longer texts are rejected before they are tokenized; they cannot fit the context of any encoder."""

TEXTS_PER_STEP: Final = 32
"""Texts per forward; between forwards the server checks whether the client has disconnected."""

InputText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARACTERS)]


def _check_sentence_length(words: tuple[str, ...]) -> tuple[str, ...]:
    if sum(map(len, words)) + len(words) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"a sentence has more than {MAX_TEXT_CHARACTERS:,} characters")
    return words


Sentence = Annotated[tuple[InputText, ...], Field(min_length=1), AfterValidator(_check_sentence_length)]


class ClassifyRequest(BaseModel):
    """`input` is a text or a list of texts; `top` limits the labels returned for each. Unknown fields are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    input: InputText | Annotated[tuple[InputText, ...], Field(min_length=1, max_length=MAX_TEXTS)]
    top: PositiveCount | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.input,) if isinstance(self.input, str) else self.input


class TagRequest(BaseModel):
    """`input` is a list of sentences, each a list of words or a text that is split at white space. Unknown fields are
    rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    input: Annotated[tuple[InputText | Sentence, ...], Field(min_length=1, max_length=MAX_TEXTS)]

    @property
    def sentences(self) -> list[tuple[str, ...]]:
        return [tuple(item.split()) if isinstance(item, str) else item for item in self.input]


def make_router(released: EncoderRelease, worker: Worker) -> APIRouter:
    """The route for the task of one release."""
    router = APIRouter(prefix="/v1", tags=["predict"])
    if released.task.settings.type == "tag":
        _add_tag_route(router, released, worker)
    else:
        _add_classify_route(router, released, worker)
    return router


def _add_tag_route(router: APIRouter, released: EncoderRelease, worker: Worker) -> None:
    @router.post("/tag")
    async def tag(request: Request, body: TagRequest) -> dict[str, Any]:
        find_model(released, body.model)
        sentences = body.sentences
        examples = [Example(text=" ".join(words), tokens=words) for words in sentences]
        work = worker.run(lambda: _tag_sentences(released, examples), is_disconnected=request.is_disconnected)
        results = [result async for result in work]
        data = [
            {
                "object": "tagging",
                "index": index,
                "words": list(words),
                **_tags_and_entities(words, tags),
                "scores": scores,
            }
            for index, (words, (_, tags, scores)) in enumerate(zip(sentences, results, strict=True))
        ]
        return _response(released, sum(tokens for tokens, *_ in results), data)


def _tag_sentences(released: EncoderRelease, examples: list[Example]) -> Iterator[tuple[int, list[str], list[float]]]:
    """For each sentence: its token count, the tags of its words, and the probability of each tag. The probability is 0 for a
    word that the tokenizer reduces to nothing."""
    rows = _encode_inputs(released, examples)
    for start in range(0, len(rows), TEXTS_PER_STEP):
        batch = rows[start : start + TEXTS_PER_STEP]
        for row, logits in zip(batch, released.model.logits(batch), strict=True):
            scores = [0.0] * row.count
            for word, value in zip(row.words, logits.softmax(dim=-1).amax(dim=-1).tolist(), strict=True):
                scores[word] = value
            yield len(row.ids), released.task.answer(row, logits).split(" "), scores


def _tags_and_entities(words: tuple[str, ...], tags: list[str]) -> dict[str, Any]:
    """The tags, and the entities that they mark: words `start` to `end`, `end` excluded."""
    entities = [
        {
            "type": entity.kind,
            "start": entity.start,
            "end": entity.end,
            "text": " ".join(words[entity.start : entity.end]),
        }
        for entity in find_entities(tags, "lenient")
    ]
    return {"tags": tags, "entities": entities}


def _add_classify_route(router: APIRouter, released: EncoderRelease, worker: Worker) -> None:
    @router.post("/classify")
    async def classify(request: Request, body: ClassifyRequest) -> dict[str, Any]:
        find_model(released, body.model)
        examples = [Example(text=text) for text in body.texts]
        work = worker.run(lambda: _classify_texts(released, examples), is_disconnected=request.is_disconnected)
        results = [result async for result in work]
        data = [
            {"object": "classification", "index": index, "answer": answer, "scores": scores[: body.top]}
            for index, (_, answer, scores) in enumerate(results)
        ]
        return _response(released, sum(tokens for tokens, *_ in results), data)


def _encode_inputs(released: EncoderRelease, examples: list[Example]) -> list[EncoderRow]:
    """Tokenize the inputs. This can take seconds for long texts, so it runs in the model's thread, before the first forward.

    Raises BadRequest for an input that is empty or does not fit the context.
    """
    model = released.model
    rows = []
    for index, example in enumerate(examples):
        row = Row(row_id=f"{index}", file="input", line=index, example=example)
        try:
            rows.append(released.task.question(row, model.tokenizer, window=model.context))
        except DataError as error:
            what = error.what.replace(f"row {index}", f"input {index}", 1)
            code = "context_length_exceeded" if "the context holds" in what else None
            raise BadRequest(what, param=f"input.{index}", code=code) from error
    return rows


def _classify_texts(
    released: EncoderRelease, examples: list[Example]
) -> Iterator[tuple[int, str, list[dict[str, Any]]]]:
    """For each text: its token count, the answer, and the labels with their scores."""
    rows = _encode_inputs(released, examples)
    for start in range(0, len(rows), TEXTS_PER_STEP):
        batch = rows[start : start + TEXTS_PER_STEP]
        for row, logits in zip(batch, released.model.logits(batch), strict=True):
            scores = [{"label": label, "score": score} for label, score in released.task.scores(logits)]
            yield len(row.ids), released.task.answer(row, logits), scores


def _response(released: EncoderRelease, tokens: int, data: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": released.id, "data": data, "usage": usage}
