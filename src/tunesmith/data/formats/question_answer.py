"""Question and answer, with the context that the answer is found in where there is one."""

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

    `answers` (or `answer`) may also be a text, a list of texts or a list of `{"text": "..."}`. The user's turn is the context,
    an empty line and the question; the assistant's is the first answer. Where several differ, all are kept as right ones.
    A question without an answer (SQuAD 2) has an empty answer. The nested SQuAD file is read as it is (.json).
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
    listed = value.get("text") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise DataError(f"the column {column!r} must hold text or a list of answers, found {json_type_name(value)}")
    texts = [one.get("text") if isinstance(one, dict) else one for one in listed]
    for text in texts:
        if not isinstance(text, str):
            raise DataError(f"the column {column!r} has an answer that is no text but {json_type_name(text)}")
    return [text for text in texts if isinstance(text, str)]
