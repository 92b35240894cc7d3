"""Signal: the language of each row's prompt and completion, shared by the language check and the profile."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import pyarrow as pa
from pyarrow import compute

from tunesmith.audit.audit_table import AuditTable
from tunesmith.detect.language import detect_languages_fast, model_installed

SIDES: Final = ("prompt", "completion")


@dataclass(frozen=True)
class RowLanguage:
    """Language tags of a row's prompt and completion, `und` where undetermined."""

    id: ClassVar[str] = "spoken"
    version: ClassVar[str] = "2"
    of: ClassVar[Literal["rows", "messages"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = SIDES
    kind: ClassVar[pa.DataType] = pa.struct([(side, pa.string()) for side in SIDES])

    def values(self, *columns: pa.Array) -> pa.Array:
        return pa.StructArray.from_arrays([detect_languages_fast(texts) for texts in columns], fields=list(self.kind))


def prompt_languages(corpus: AuditTable, off: Sequence[str] = ()) -> pa.ChunkedArray | None:
    """The language tag of every row's prompt; None when the check is off or the language model is not installed."""
    if "language" in off or not model_installed():
        return None
    languages = corpus.values(RowLanguage())
    return pa.chunked_array([compute.struct_field(chunk, SIDES[0]) for chunk in languages.chunks], type=pa.string())
