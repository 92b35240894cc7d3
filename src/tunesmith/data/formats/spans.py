"""Spans: a text and its labelled character spans."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tunesmith.artifacts import Example
from tunesmith.artifacts.example import LabelledSpan
from tunesmith.data.format import FORMATS, Columns, Record, columns_read, text_of, value_of
from tunesmith.errors import DataError

SPAN_ALIASES: Final = ("entities",)


@FORMATS.register
@dataclass(frozen=True)
class Spans:
    """`{"text": "...", "spans": [{"start": 0, "end": 6, "label": "city"}]}`; the column may be named `entities`.

    Offsets count characters from 0; `end` is exclusive. A span may also be a list `[start, end, label]`, as in doccano and spaCy.
    A span's optional `text` must equal the text between its offsets.
    """

    id: ClassVar[str] = "spans"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("text", "spans")
    optional: ClassVar[tuple[str, ...]] = ()

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        return columns_read(self, record, columns, spans=SPAN_ALIASES)

    def read(self, record: Record, columns: Columns) -> Example:
        text = text_of(record, columns, "text")
        column, value = value_of(record, columns, "spans", also=SPAN_ALIASES)
        if not isinstance(value, list):
            raise DataError(f"the column {column!r} must hold a list of spans")
        return Example(text=text, spans=tuple(_read_span(item, number, text) for number, item in enumerate(value, 1)))


def _read_span(value: Any, number: int, text: str) -> LabelledSpan:
    if isinstance(value, list) and len(value) == 3:
        value = dict(zip(("start", "end", "label"), value, strict=True))
    if not isinstance(value, dict) or not isinstance(value.get("label"), str) or not value["label"]:
        raise DataError(f"span {number} must be an object with start, end and label")
    start: Any = value.get("start")
    end: Any = value.get("end")
    integers = all(isinstance(offset, int) and not isinstance(offset, bool) for offset in (start, end))
    if not integers or not 0 <= start < end <= len(text):
        what = f"span {number} goes from {start!r} to {end!r}, and the text has {len(text)} characters"
        raise DataError(what, hint="start from 0, end is the first character after the span")
    if value.get("text") is not None and value["text"] != text[start:end]:
        # The message repeats neither text: it may be a name, and reasons are part of reports.
        hint = "count characters, not bytes or tokens"
        raise DataError(f"span {number} repeats a text that does not stand at {start} to {end}", hint=hint)
    return LabelledSpan(start=start, end=end, label=value["label"])
