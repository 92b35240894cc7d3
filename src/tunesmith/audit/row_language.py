"""Spoken: the language of every row at first sight. The check of languages and the profile share it."""

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
    """Tags of the prompt and of the completion of a row, `und` where it cannot be said (see `data.language.glance`)."""

    id: ClassVar[str] = "spoken"
    version: ClassVar[str] = "2"
    of: ClassVar[Literal["rows", "parts"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = SIDES
    kind: ClassVar[pa.DataType] = pa.struct([(side, pa.string()) for side in SIDES])

    def values(self, *columns: pa.Array) -> pa.Array:
        return pa.StructArray.from_arrays([detect_languages_fast(texts) for texts in columns], fields=list(self.kind))


def prompt_languages(corpus: AuditTable, off: Sequence[str] = ()) -> pa.ChunkedArray | None:
    """The tag of every row's prompt; None when nobody looks: the check is off, or the model is not installed."""
    if "language" in off or not model_installed():
        return None
    spoken = corpus.values(RowLanguage())
    return pa.chunked_array([compute.struct_field(chunk, SIDES[0]) for chunk in spoken.chunks], type=pa.string())
