"""Labelled text: a text and the class it belongs to."""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Example
from tunesmith.data.format import FORMATS, Columns, Record, has_columns, text_of


@FORMATS.register
@dataclass(frozen=True)
class LabelledText:
    """`{"text": "...", "label": "..."}`. A whole number as label is read as its digits."""

    id: ClassVar[str] = "labelled-text"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("text", "label")

    def fits(self, record: Record, columns: Columns) -> bool:
        return has_columns(record, columns, self.roles)

    def read(self, record: Record, columns: Columns) -> Example:
        column = columns.get("label", "label")
        value = record.get(column)
        if isinstance(value, int) and not isinstance(value, bool):
            record = {**record, column: str(value)}
        return Example(text=text_of(record, columns, "text"), labels=(text_of(record, columns, "label").strip(),))
