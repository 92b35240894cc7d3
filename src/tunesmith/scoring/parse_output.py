"""Parsing of model outputs. An output that cannot be parsed gives None and counts as wrong; none raises an exception."""

import json
from collections.abc import Sequence
from typing import Any


def read_json(text: str) -> Any | None:
    """The JSON object or array in `text`, which must be nothing else (RFC 8259: no NaN, no Infinity); None otherwise."""
    try:
        value = json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def read_label(text: str, key: str | None) -> str | None:
    """The label without surrounding white space: the whole output, or the value of `key` in its JSON object."""
    if key is None:
        return text.strip() or None
    value = read_json(text)
    label = value.get(key) if isinstance(value, dict) else None
    return _as_text(label) if isinstance(label, str | int | float) else None


def write_label(label: str, key: str | None) -> str:
    """The output from which `read_label` reads this label, for systems that predict only labels."""
    return label if key is None else json.dumps({key: label}, ensure_ascii=False)


def read_reply(text: str, key: str | None) -> str | None:
    """The reply: the whole output unchanged, or the string of `key` in its JSON object."""
    if key is None:
        return text
    value = read_json(text)
    reply = value.get(key) if isinstance(value, dict) else None
    return reply if isinstance(reply, str) else None


def read_fields(text: str, keys: Sequence[str]) -> dict[str, str] | None:
    """The values of `keys` in the output's JSON object, as text; an inner object gives one field for each of its keys.

    null reads as the empty text. None when there is no object, or none of the keys.
    """
    value = read_json(text)
    if not isinstance(value, dict):
        return None
    fields: dict[str, str] = {}
    for key in keys:
        inner = value.get(key)
        if isinstance(inner, dict):
            fields.update({f"{key}.{name}": _as_text(item) for name, item in inner.items()})
        elif key in value:
            fields[key] = _as_text(inner)
    return fields or None


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
