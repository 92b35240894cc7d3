"""Labelled text: a text with one label or several."""

from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, Final

from tunesmith.artifacts import Example
from tunesmith.data.format import FORMATS, Columns, Record, columns_read, json_type_name, text_of, value_of
from tunesmith.errors import DataError

LABEL_ALIASES: Final = ("labels",)


@FORMATS.register
@dataclass(frozen=True)
class LabelledText:
    """`{"text": "...", "label": "..."}`, or a list of labels. A number becomes its digits."""

    id: ClassVar[str] = "labelled-text"
    version: ClassVar[str] = "3"
    roles: ClassVar[tuple[str, ...]] = ("text", "label")
    optional: ClassVar[tuple[str, ...]] = ()

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        return columns_read(self, record, columns, label=LABEL_ALIASES)

    def read(self, record: Record, columns: Columns) -> Example:
        text = text_of(record, columns, "text")
        column, value = value_of(record, columns, "label", also=LABEL_ALIASES)
        labels = tuple(_label_text(item, column) for item in (value if isinstance(value, list) else [value]))
        if duplicate := next((label for label in labels if labels.count(label) > 1), None):
            raise DataError(f"the column {column!r} has the label {duplicate!r} twice")
        return Example(text=text, labels=labels)


def _label_text(value: Any, column: str) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and isfinite(value):
        return repr(value)
    hint = "labelled spans are the format `spans`" if isinstance(value, list | dict) else "put quotes around the value"
    raise DataError(f"the column {column!r} must hold text, found {json_type_name(value)}", hint=hint)
