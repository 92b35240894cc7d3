"""Strict parsing of untrusted JSON and base64. Input that two parsers could interpret differently is rejected."""

import base64
import binascii
import json
from typing import Any

from tunesmith.errors import IntegrityBroken


def parse_object(data: bytes, *, where: str) -> dict[str, Any]:
    """Parse a JSON object from UTF-8 bytes. Raises IntegrityBroken on other input, duplicate keys and NaN."""
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_reject_duplicate_keys, parse_constant=_reject_constant
        )
    except (ValueError, RecursionError) as error:
        raise IntegrityBroken(f"invalid JSON: {error}", where=where) from error
    if not isinstance(value, dict):
        raise IntegrityBroken("not a JSON object", where=where)
    return value


def require_field(value: Any, name: str, kind: type, *, where: str) -> Any:
    """Field of a JSON object. Raises IntegrityBroken when it is missing or not exactly of type `kind`."""
    member = value.get(name) if isinstance(value, dict) else None
    if type(member) is not kind:
        raise IntegrityBroken(f"the field {name!r} is missing or is not a {kind.__name__}", where=where)
    return member


def encode_base64(data: bytes) -> str:
    """Base64 of RFC 4648 section 4."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, *, where: str) -> bytes:
    """Decode canonical base64: padded, no other characters, no stray bits. Raises IntegrityBroken."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise IntegrityBroken("not base64", where=where) from error
    if encode_base64(data) != text:
        raise IntegrityBroken("base64 is not in canonical form", where=where)
    return data


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")
