"""Parse JSON strictly: no duplicate keys, no NaN, no lone surrogates, limited depth."""

import json
import re
from math import isfinite
from typing import Any, Final

from pydantic_core import from_json

from tunesmith.data.format import Record
from tunesmith.errors import DataError

MAX_JSON_DEPTH: Final = 100
"""Nesting limit; a row of messages with tools has a depth of about ten."""
SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {duplicate!r} stands twice in one object")
    return record


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


STRICT_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_refuse_duplicate_keys, parse_constant=_refuse_constant, parse_float=_finite_float
)
"""Created once: `json.loads` creates a new decoder for each call with a hook."""

KEY_END: Final = re.compile(r'"[ \t\r\n]*:')
"""Matches the end of each key, and a quoted `"` before a colon inside a text."""


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises DataError, without a place.

    The fast parser accepts duplicate keys, infinite numbers and any depth. A text that it rejects, or that may have one of these,
    is parsed again by the strict decoder, which gives the error message.
    """
    try:
        value = from_json(text, allow_inf_nan=False)
        keys = _count_keys(value, MAX_JSON_DEPTH)
    except ValueError:
        keys = None
    # Every key ends with a quote and a colon. When the value has as many keys as the text has such ends, no key was a duplicate.
    if keys is not None and (keys == text.count(":") or keys == len(KEY_END.findall(text))):
        return value
    return parse_json_at(text, 0, whole=True)[0]


def _count_keys(value: Any, depth: int) -> int:
    """The number of keys of all objects in a value. Raises ValueError at an infinite number or beyond `depth`."""
    if not depth:
        raise ValueError("nested too deep")
    count, items = 0, value
    if type(value) is dict:
        count, items = len(value), value.values()
    elif type(value) is not list:
        items = (value,)
    for item in items:
        kind = type(item)
        if kind is str:
            continue
        if kind is dict or kind is list:
            count += _count_keys(item, depth - 1)
        elif kind is float and not isfinite(item):
            raise ValueError("an infinite number")
    return count


def parse_json_at(text: str, start: int, *, whole: bool = False) -> tuple[Any, int]:
    """(value, end) of the JSON that begins at `start`; with `whole` nothing may follow it. Raises DataError."""
    try:
        value, end = (STRICT_DECODER.decode(text), len(text)) if whole else STRICT_DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        what = f"broken JSON: {error.msg} at column {error.colno}"
        raise DataError(what, hint="one whole JSON object per row") from error
    except RecursionError as error:
        raise DataError("the JSON is nested too deep") from error
    except ValueError as error:
        raise DataError(f"broken JSON: {error}") from error
    if text.count("[", start, end) + text.count("{", start, end) > MAX_JSON_DEPTH:
        _refuse_depth(value)
    if text.find("\\u", start, end) >= 0:
        _refuse_surrogates(text[start:end], value)
    return value, end


def end_of_invalid_value(text: str, start: int) -> int | None:
    """The end of a value that `parse_json_at` rejected; None when its brackets or quotes are not balanced."""
    try:
        return json.JSONDecoder().raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def as_record(value: Any) -> Record:
    """The value as a record. Raises DataError unless it is an object."""
    if isinstance(value, dict):
        return value
    hint = "a file with one JSON array ends in .json" if isinstance(value, list) else "one JSON object per row"
    raise DataError(f"a row is a JSON object, found {type(value).__name__}", hint=hint)


def _refuse_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise DataError("the JSON is nested too deep", hint=f"at most {MAX_JSON_DEPTH} lists and objects")
        nested = [item for item in level if isinstance(item, dict | list)]
        level = [child for item in nested for child in (item.values() if isinstance(item, dict) else item)]


def _refuse_surrogates(text: str, value: Any) -> None:
    """Raises DataError at a lone surrogate, which cannot be encoded as UTF-8."""
    if SURROGATE_ESCAPE.search(text) is None:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError("half of a surrogate pair, which is no character", hint="write the character itself") from error
