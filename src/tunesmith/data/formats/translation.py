"""Translation: a text and its translation."""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Example
from tunesmith.artifacts.unchecked import unchecked_example, unchecked_message
from tunesmith.data.format import FORMATS, Columns, Record, columns_read, text_of
from tunesmith.errors import DataError


@FORMATS.register
@dataclass(frozen=True)
class Translation:
    """`{"translation": {"en": "...", "de": "..."}}`, or `{"source": "...", "target": "..."}`.

    The direction is from the first language to the second in the first row of the file, or as `columns: {source: de, target: en}`
    states. The source text is the user message, unchanged, and the target the assistant message; set the request as
    `task.instruction`.
    """

    id: ClassVar[str] = "translation"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("source", "target")
    optional: ClassVar[tuple[str, ...]] = ()

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        return frozenset({"translation"}) if "translation" in record else columns_read(self, record, columns)

    def resolve_columns(self, record: Record, columns: Columns) -> Columns:
        """The languages in the order of this record, unless `columns` states them. Raises DataError unless there are two."""
        pair = record.get("translation")
        if "translation" not in record or set(columns) == set(self.roles):
            return columns
        if not isinstance(pair, dict) or len(pair) != 2:
            hint = "name two of them with `columns: {source: en, target: de}`"
            raise DataError("the column 'translation' must hold one text for each of two languages", hint=hint)
        names = list(pair)
        if columns.get("source") == names[1] or columns.get("target") == names[0]:
            names.reverse()
        return dict(zip(self.roles, names, strict=True)) | dict(columns)

    def read(self, record: Record, columns: Columns) -> Example:
        columns = self.resolve_columns(record, columns)
        texts = record.get("translation", record)
        if not isinstance(texts, dict):
            raise DataError("the column 'translation' must hold one text for each of two languages")
        for language in (columns.get(role, role) for role in self.roles):
            if language not in texts:
                raise DataError(f"there is no text in {language!r}; the row has {', '.join(map(repr, texts))}")
        source, target = (text_of(texts, columns, role) for role in self.roles)
        return unchecked_example((unchecked_message("user", source), unchecked_message("assistant", target)))
