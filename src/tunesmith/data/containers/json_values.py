"""JSON values as rows need them: no key twice, no NaN, no half characters, not nested without end."""

import json
import re
from math import isfinite
from typing import Any, Final

from pydantic_core import from_json

from tunesmith.data.format import Record
from tunesmith.errors import DataError

MAX_JSON_DEPTH: Final = 100
"""Objects and lists inside each other; a row of messages with tools has about ten."""
SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twin!r} stands twice in one object")
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
"""Made once: `json.loads` makes a new decoder for each call that has a hook."""


KEY_END: Final = re.compile(r'"[ \t\r\n]*:')
"""Stands at the end of each key; inside a text it may stand too, behind a backslash."""


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises DataError, without a place.

    The fast parser takes the last of two equal keys, an infinite number and any depth; where it has refused a text or cannot be
    trusted with it, the strict one reads it again and says what is wrong.
    """
    try:
        value = from_json(text, allow_inf_nan=False)
        keys = _count_keys(value, MAX_JSON_DEPTH)
    except ValueError:
        keys = None
    # Every key ends with a quote and a colon, so there are no more keys than these: when all are in the value, none stood twice.
    if keys is not None and (keys == text.count(":") or keys == len(KEY_END.findall(text))):
        return value
    return parse_json_at(text, 0, whole=True)[0]


def _count_keys(value: Any, depth: int) -> int:
    """How many keys all objects in a value have. Raises ValueError at a number or a depth that must be refused."""
    if not depth:
        raise ValueError("nested too deep")
    count, items = 0, value
    if type(value) is dict:
        count, items = len(value), value.values()
    elif type(value) is not list:
        items = (value,)
    for one in items:
        kind = type(one)
        if kind is str:
            continue
        if kind is dict or kind is list:
            count += _count_keys(one, depth - 1)
        elif kind is float and not isfinite(one):
            raise ValueError("an infinite number")
    return count


def parse_json_at(text: str, start: int, *, whole: bool = False) -> tuple[Any, int]:
    """(value, where it ends) of the JSON that begins at `start`; `whole`: nothing may follow. Raises DataError."""
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
    """Where a value ends that `parse_at` refused, when its brackets and quotes are whole; None when they are not."""
    try:
        return json.JSONDecoder().raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def as_record(value: Any) -> Record:
    """The value, when it is an object. Raises DataError when it is not."""
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
        inner = [one for one in level if isinstance(one, dict | list)]
        level = [child for one in inner for child in (one.values() if isinstance(one, dict) else one)]


def _refuse_surrogates(text: str, value: Any) -> None:
    """Half of a surrogate pair cannot be written as UTF-8, so it could never leave this process again."""
    if SURROGATE_ESCAPE.search(text) is None:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError("half of a surrogate pair, which is no character", hint="write the character itself") from error
