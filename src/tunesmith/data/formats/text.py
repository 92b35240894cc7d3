"""Text: running text without a completion, for the objective that trains every token."""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Example
from tunesmith.data.format import FORMATS, Columns, Record, has_columns, text_of


@FORMATS.register
@dataclass(frozen=True)
class PlainText:
    """`{"text": "..."}`."""

    id: ClassVar[str] = "text"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("text",)

    def fits(self, record: Record, columns: Columns) -> bool:
        return has_columns(record, columns, self.roles)

    def read(self, record: Record, columns: Columns) -> Example:
        return Example(text=text_of(record, columns, "text"))
