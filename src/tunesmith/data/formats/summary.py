"""Summary: a document and its summary."""

from dataclasses import dataclass
from typing import ClassVar, Final

from tunesmith.artifacts import Example
from tunesmith.artifacts.unchecked import unchecked_example, unchecked_message
from tunesmith.data.format import FORMATS, Columns, Record, columns_read, text_of

DOCUMENT_ALIASES: Final = ("article", "dialogue", "text")


@FORMATS.register
@dataclass(frozen=True)
class Summary:
    """`{"document": "...", "summary": "..."}`; the document may be named `article`, `dialogue` or `text`.

    The document is the user message, unchanged, and the summary the assistant message; set the request as `task.instruction`.
    """

    id: ClassVar[str] = "summary"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("document", "summary")
    optional: ClassVar[tuple[str, ...]] = ()

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        return columns_read(self, record, columns, document=DOCUMENT_ALIASES)

    def read(self, record: Record, columns: Columns) -> Example:
        document, summary = (
            text_of(record, columns, "document", also=DOCUMENT_ALIASES),
            text_of(record, columns, "summary"),
        )
        return unchecked_example((unchecked_message("user", document), unchecked_message("assistant", summary)))
