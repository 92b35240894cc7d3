"""Text: plain text without a completion, for training on every token."""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Example
from tunesmith.data.format import FORMATS, Columns, Record, columns_read, text_of


@FORMATS.register
@dataclass(frozen=True)
class PlainText:
    """`{"text": "..."}`, or a `.txt` or `.md` file, which is one row."""

    id: ClassVar[str] = "text"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("text",)
    optional: ClassVar[tuple[str, ...]] = ()

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        return columns_read(self, record, columns)

    def read(self, record: Record, columns: Columns) -> Example:
        return Example(text=text_of(record, columns, "text"))
