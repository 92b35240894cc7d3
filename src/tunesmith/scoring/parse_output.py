"""Reading model outputs. What cannot be read is None and counts as wrong; no output raises an exception."""

import json
from collections.abc import Sequence
from typing import Any


def read_json(text: str) -> Any | None:
    """The object or array that the whole of `text` is (RFC 8259: no NaN, no Infinity); None for anything else."""
    try:
        value = json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def read_label(text: str, key: str | None) -> str | None:
    """The label: the whole output, or the value under `key` of its JSON object; surrounding white space removed."""
    if key is None:
        return text.strip() or None
    value = read_json(text)
    found = value.get(key) if isinstance(value, dict) else None
    return _as_text(found) if isinstance(found, str | int | float) else None


def write_label(label: str, key: str | None) -> str:
    """The output from which `read_label` reads this label; for systems that predict labels only."""
    return label if key is None else json.dumps({key: label}, ensure_ascii=False)


def read_reply(text: str, key: str | None) -> str | None:
    """The reply: the whole output as it is, or the string under `key` of its JSON object."""
    if key is None:
        return text
    value = read_json(text)
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def read_fields(text: str, keys: Sequence[str]) -> dict[str, str] | None:
    """The values under `keys` of the output's JSON object, as text; an inner object gives one field per key of its own.

    null reads as the empty text: both say that nothing was stated. None when there is no object or none of the keys.
    """
    value = read_json(text)
    if not isinstance(value, dict):
        return None
    found: dict[str, str] = {}
    for key in keys:
        inner = value.get(key)
        if isinstance(inner, dict):
            found.update({f"{key}.{name}": _as_text(item) for name, item in inner.items()})
        elif key in value:
            found[key] = _as_text(inner)
    return found or None


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
