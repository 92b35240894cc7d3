"""Question and answer, with an optional context that contains the answer."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tunesmith.artifacts import Example
from tunesmith.artifacts.unchecked import unchecked_message
from tunesmith.data.format import (
    FORMATS,
    Columns,
    Record,
    columns_read,
    json_type_name,
    optional_text,
    text_of,
    value_of,
)
from tunesmith.errors import DataError

ANSWER_ALIASES: Final = ("answer",)


@FORMATS.register
@dataclass(frozen=True)
class QuestionAnswer:
    """`{"question": "...", "context": "...", "answers": {"text": ["..."], "answer_start": [0]}}`, as SQuAD has it.

    `answers` (or `answer`) may also be a text, a list of texts or a list of `{"text": "..."}`. The user message is the context,
    an empty line and the question; the assistant message is the first answer. Several distinct answers all count as correct.
    A question without an answer (SQuAD 2) gets an empty answer. The nested SQuAD file (.json) is read directly.
    """

    id: ClassVar[str] = "question-answer"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("question", "answers")
    optional: ClassVar[tuple[str, ...]] = ("context",)

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        return columns_read(self, record, columns, answers=ANSWER_ALIASES)

    def read(self, record: Record, columns: Columns) -> Example:
        question, context = text_of(record, columns, "question"), optional_text(record, columns, "context")
        answers = tuple(dict.fromkeys(_read_answers(*value_of(record, columns, "answers", also=ANSWER_ALIASES))))
        return Example(
            messages=(
                unchecked_message("user", f"{context}\n\n{question}" if context else question),
                unchecked_message("assistant", answers[0] if answers else ""),
            ),
            answers=answers if len(answers) > 1 else None,
        )


def _read_answers(column: str, value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    answers = value.get("text") if isinstance(value, dict) else value
    if not isinstance(answers, list):
        raise DataError(f"the column {column!r} must hold text or a list of answers, found {json_type_name(value)}")
    texts = [item.get("text") if isinstance(item, dict) else item for item in answers]
    for text in texts:
        if not isinstance(text, str):
            raise DataError(f"the column {column!r} has an answer that is no text but {json_type_name(text)}")
    return [text for text in texts if isinstance(text, str)]
