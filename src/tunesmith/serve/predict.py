"""POST /v1/classify and /v1/tag: labels of texts and tags of words, by a release whose answer is read from one forward."""

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
"""Characters of a text that is looked at; what has more cannot fit the context of any encoder."""

TEXTS_PER_STEP: Final = 32
"""Texts between two looks whether the client is still there."""

InputText = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARACTERS)]


def _check_sentence_length(words: tuple[str, ...]) -> tuple[str, ...]:
    if sum(map(len, words)) + len(words) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"a sentence has more than {MAX_TEXT_CHARACTERS:,} characters")
    return words


Sentence = Annotated[tuple[InputText, ...], Field(min_length=1), AfterValidator(_check_sentence_length)]


class ClassifyRequest(BaseModel):
    """`input` is a text or a list of them; `top` limits how many labels come back for each. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    input: InputText | Annotated[tuple[InputText, ...], Field(min_length=1, max_length=MAX_TEXTS)]
    top: PositiveCount | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.input,) if isinstance(self.input, str) else self.input


class TagRequest(BaseModel):
    """`input` is a list of sentences, each a list of words, or a text that is cut at white space. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    input: Annotated[tuple[InputText | Sentence, ...], Field(min_length=1, max_length=MAX_TEXTS)]

    @property
    def sentences(self) -> list[tuple[str, ...]]:
        return [tuple(one.split()) if isinstance(one, str) else one for one in self.input]


def make_router(released: EncoderRelease, worker: Worker) -> APIRouter:
    """The route over one release: that of its task."""
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
        found = [
            one async for one in worker.run(lambda: _tag_sentences(released, examples), gone=request.is_disconnected)
        ]
        data = [
            {
                "object": "tagging",
                "index": index,
                "words": list(words),
                **_tags_and_entities(words, tags),
                "scores": scores,
            }
            for index, (words, (_, tags, scores)) in enumerate(zip(sentences, found, strict=True))
        ]
        return _response(released, sum(tokens for tokens, *_ in found), data)


def _tag_sentences(released: EncoderRelease, examples: list[Example]) -> Iterator[tuple[int, list[str], list[float]]]:
    """Of each sentence its tokens, the tags of its words, and the probability of each; 0 for a word that the tokenizer leaves
    nothing of."""
    asked = _encode_inputs(released, examples)
    for start in range(0, len(asked), TEXTS_PER_STEP):
        some = asked[start : start + TEXTS_PER_STEP]
        for row, logits in zip(some, released.model.logits(some), strict=True):
            scores = [0.0] * row.count
            for word, value in zip(row.words, logits.softmax(dim=-1).amax(dim=-1).tolist(), strict=True):
                scores[word] = value
            yield len(row.ids), released.task.answer(row, logits).split(" "), scores


def _tags_and_entities(words: tuple[str, ...], tags: list[str]) -> dict[str, Any]:
    """Tags, and the entities that they spell, from word `start` to before word `end`."""
    found = [
        {"type": one.kind, "start": one.start, "end": one.end, "text": " ".join(words[one.start : one.end])}
        for one in find_entities(tags, "lenient")
    ]
    return {"tags": tags, "entities": found}


def _add_classify_route(router: APIRouter, released: EncoderRelease, worker: Worker) -> None:
    @router.post("/classify")
    async def classify(request: Request, body: ClassifyRequest) -> dict[str, Any]:
        find_model(released, body.model)
        examples = [Example(text=text) for text in body.texts]
        found = [
            one async for one in worker.run(lambda: _classify_texts(released, examples), gone=request.is_disconnected)
        ]
        data = [
            {"object": "classification", "index": index, "answer": answer, "scores": scores[: body.top]}
            for index, (_, answer, scores) in enumerate(found)
        ]
        return _response(released, sum(tokens for tokens, *_ in found), data)


def _encode_inputs(released: EncoderRelease, examples: list[Example]) -> list[EncoderRow]:
    """The inputs in tokens: seconds of work for long ones, so the model's thread does it, before the first forward.

    Raises BadRequest for one that is empty or too long for the context.
    """
    model = released.model
    found = []
    for index, example in enumerate(examples):
        row = Row(row_id=f"{index}", file="input", line=index, example=example)
        try:
            found.append(released.task.question(row, model.tokenizer, window=model.context))
        except DataError as error:
            what = error.what.replace(f"row {index}", f"input {index}", 1)
            code = "context_length_exceeded" if "the context holds" in what else None
            raise BadRequest(what, param=f"input.{index}", code=code) from error
    return found


def _classify_texts(
    released: EncoderRelease, examples: list[Example]
) -> Iterator[tuple[int, str, list[dict[str, Any]]]]:
    """Of each text its tokens, the answer, and the labels with their scores."""
    asked = _encode_inputs(released, examples)
    for start in range(0, len(asked), TEXTS_PER_STEP):
        some = asked[start : start + TEXTS_PER_STEP]
        for row, logits in zip(some, released.model.logits(some), strict=True):
            scores = [{"label": label, "score": score} for label, score in released.task.scores(logits)]
            yield len(row.ids), released.task.answer(row, logits), scores


def _response(released: EncoderRelease, tokens: int, data: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": released.id, "data": data, "usage": usage}
