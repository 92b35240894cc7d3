"""Marks that say how each value of a document is known, shared by Croissant and the provenance record.

measured  counted, computed or observed by Tunesmith
declared  stated by the maker in the recipe or in the rows; not verified
missing   not stated by anyone; the value is omitted, never invented
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Mark = Literal["measured", "declared", "missing"]


@dataclass(frozen=True)
class MarkedValue:
    """A document value with its mark. A missing value is None."""

    value: Any
    mark: Mark


MISSING: Final = MarkedValue(None, "missing")


def measured(value: Any) -> MarkedValue:
    """Mark a value as measured."""
    return MarkedValue(value, "measured")


def declared(value: Any) -> MarkedValue:
    """Mark a value as declared, or as missing when it is None or empty."""
    stripped = value.strip() if isinstance(value, str) else value
    return MISSING if stripped is None or stripped in ("", [], {}) else MarkedValue(stripped, "declared")


def separate_marks(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Mark]]:
    """Separate a document into plain values, without missing ones, and {JSON Pointer (RFC 6901): mark} of every `Said` in it.

    What is no `Said` is structure: types, ids, vocabulary names. A pointer covers everything below it.
    """
    marks: dict[str, Mark] = {}
    plain = _plain_value(document, "", marks)
    return plain, marks


def _plain_value(value: Any, pointer: str, marks: dict[str, Mark]) -> Any:
    if isinstance(value, MarkedValue):
        marks[pointer] = value.mark
        return value.value
    if isinstance(value, Mapping):
        values = {key: _plain_value(item, f"{pointer}/{_escape_pointer(key)}", marks) for key, item in value.items()}
        return {key: item for key, item in values.items() if not _is_missing(value[key])}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain_value(item, f"{pointer}/{number}", marks) for number, item in enumerate(value)]
    return value


def _is_missing(value: Any) -> bool:
    return isinstance(value, MarkedValue) and value.mark == "missing"


def _escape_pointer(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
