"""Marks: how each value of a document is known. One way for Croissant and the provenance record.

measured  counted, computed or observed by Tunesmith
declared  stated by the maker, in the recipe or in the rows; believed, not checked
missing   nobody stated it; there is no value, and none is made up
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Mark = Literal["measured", "declared", "missing"]


@dataclass(frozen=True)
class MarkedValue:
    """A value of a document with its mark; a missing one is None."""

    value: Any
    mark: Mark


MISSING: Final = MarkedValue(None, "missing")


def measured(value: Any) -> MarkedValue:
    """A value of ours."""
    return MarkedValue(value, "measured")


def declared(value: Any) -> MarkedValue:
    """A value of the maker's; missing when it is None or empty."""
    given = value.strip() if isinstance(value, str) else value
    return MISSING if given is None or given in ("", [], {}) else MarkedValue(given, "declared")


def separate_marks(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Mark]]:
    """The document with plain values and without what is missing; and {JSON Pointer (RFC 6901): mark} of every `Said` in it.

    What is no `Said` is structure: types, ids, names of vocabularies. A pointer stands for everything below it.
    """
    marks: dict[str, Mark] = {}
    plain = _plain_value(document, "", marks)
    return plain, marks


def _plain_value(value: Any, pointer: str, marks: dict[str, Mark]) -> Any:
    if isinstance(value, MarkedValue):
        marks[pointer] = value.mark
        return value.value
    if isinstance(value, Mapping):
        found = {key: _plain_value(item, f"{pointer}/{_escape_pointer(key)}", marks) for key, item in value.items()}
        return {key: item for key, item in found.items() if not _is_missing(value[key])}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain_value(item, f"{pointer}/{number}", marks) for number, item in enumerate(value)]
    return value


def _is_missing(value: Any) -> bool:
    return isinstance(value, MarkedValue) and value.mark == "missing"


def _escape_pointer(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
