"""POST /v1/classify: the labels of texts, by a release whose answer is read from one forward."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tunesmith.artifacts import Example, Row
from tunesmith.errors import DataError
from tunesmith.models.tasks.padded import Labelled
from tunesmith.serve.openai.errors import BadRequest
from tunesmith.serve.openai.models import find
from tunesmith.serve.released import ReleasedEncoder
from tunesmith.serve.worker import Worker

MOST_TEXTS: Final = 256
LONGEST: Final = 200_000
"""Characters of a text that is looked at; what has more cannot fit the context of any encoder."""

AT_ONCE: Final = 32
"""Texts between two looks whether the client is still there."""

Words = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]


class ClassifyRequest(BaseModel):
    """`input` is a text or a list of them; `top` limits how many labels come back for each. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    input: Words | Annotated[tuple[Words, ...], Field(min_length=1, max_length=MOST_TEXTS)]
    top: Annotated[int | None, Field(ge=1)] = None

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.input,) if isinstance(self.input, str) else self.input


def make_router(released: ReleasedEncoder, worker: Worker) -> APIRouter:
    """The route over one release."""
    router = APIRouter(prefix="/v1", tags=["predict"])

    @router.post("/classify")
    async def classify(request: Request, body: ClassifyRequest) -> dict[str, Any]:
        find(released, body.model)
        asked = _asked(released, [Example(text=text) for text in body.texts])
        found = [one async for one in worker.run(lambda: _classified(released, asked), gone=request.is_disconnected)]
        data = [
            {"object": "classification", "index": index, "answer": answer, "scores": scores[: body.top]}
            for index, (answer, scores) in enumerate(found)
        ]
        return _whole(released, asked, data)

    return router


def _asked(released: ReleasedEncoder, examples: list[Example]) -> list[Labelled]:
    """The inputs in tokens. Raises BadRequest for one that is empty or too long for the context."""
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


def _classified(released: ReleasedEncoder, asked: list[Labelled]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for start in range(0, len(asked), AT_ONCE):
        some = asked[start : start + AT_ONCE]
        for row, logits in zip(some, released.model.logits(some), strict=True):
            scores = [{"label": label, "score": score} for label, score in released.task.scores(logits)]
            yield released.task.answer(row, logits), scores


def _whole(released: ReleasedEncoder, asked: list[Labelled], data: list[dict[str, Any]]) -> dict[str, Any]:
    tokens = sum(len(row.ids) for row in asked)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": released.id, "data": data, "usage": usage}
