"""Prompt and completion: one question, one answer."""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Example, message
from tunesmith.data.format import FORMATS, Columns, Record, has_columns, text_of


@FORMATS.register
@dataclass(frozen=True)
class PromptCompletion:
    """`{"prompt": "...", "completion": "..."}`: a user turn and an assistant turn."""

    id: ClassVar[str] = "prompt-completion"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("prompt", "completion")

    def fits(self, record: Record, columns: Columns) -> bool:
        return has_columns(record, columns, self.roles)

    def read(self, record: Record, columns: Columns) -> Example:
        prompt, completion = (text_of(record, columns, role) for role in self.roles)
        return Example(messages=(message("user", prompt), message("assistant", completion)))
