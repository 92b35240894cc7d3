"""The terms of a Croissant file in our words: licences, names, languages, dates, and what ODRL and PROV-O say of use."""

import re
from datetime import date
from typing import Any, Final

from tunesmith.data.licenses import combine_licenses
from tunesmith.errors import DataError

LICENSE_PAGES: Final = (
    re.compile(r"https?://(?:www\.)?spdx\.org/licenses/(?P<id>[A-Za-z0-9.+-]+?)(?:\.html|\.json)?/?"),
    re.compile(r"https?://(?:www\.)?opensource\.org/licenses?/(?P<id>[A-Za-z0-9.+-]+?)(?:\.php)?/?"),
    re.compile(r"https?://(?:www\.)?choosealicense\.com/licenses/(?P<id>[A-Za-z0-9.+-]+?)/?"),
    re.compile(r"https?://(?:www\.)?apache\.org/licenses/(?P<apache>LICENSE-2\.0)(?:\.txt|\.html)?/?"),
    re.compile(
        r"https?://(?:www\.)?creativecommons\.org/publicdomain/zero/(?P<zero>1\.0)/?(?:deed|legalcode)?(?:\.\w+)?/?"
    ),
    re.compile(
        r"https?://(?:www\.)?creativecommons\.org/licenses/(?P<cc>[a-z-]+/\d\.\d)/?(?:deed|legalcode)?(?:\.\w+)?/?"
    ),
)
"""Addresses of licences that name an SPDX id; a ported Creative Commons licence (`/3.0/de/`) is none of them."""


def spdx_license(value: Any, *, where: str) -> str | None:
    """An SPDX expression from the licences of schema.org/license; several hold at once, for no choice is stated.

    Raises DataError on a licence that names no SPDX expression.
    """
    found = value if isinstance(value, list) else [] if value is None else [value]
    texts = [_spdx_candidate(item) for item in found]
    if not texts:
        return None
    joined = combine_licenses(texts)
    if joined is None:
        unknown = next(
            (item for item, text in zip(found, texts, strict=True) if combine_licenses([text]) is None), found
        )
        hint = "state the SPDX expression in the recipe: `license: ...`"
        raise DataError(f"the licence {str(unknown)[:120]!r} is not understood", where=where, hint=hint)
    return texts[0] if len(texts) == 1 and " " in str(texts[0]) else joined


def _spdx_candidate(item: Any) -> str | None:
    """What may be an SPDX expression: the id of a known page, or the text as it is."""
    if isinstance(item, dict):
        options = [_spdx_candidate(item[key]) for key in ("name", "url", "@id") if isinstance(item.get(key), str)]
        return next((option for option in options if combine_licenses([option]) is not None), None)
    if not isinstance(item, str):
        return None
    page = next((match for pattern in LICENSE_PAGES if (match := pattern.fullmatch(item.strip()))), None)
    if page is None:
        return item.strip()
    ((kind, found),) = ((kind, found) for kind, found in page.groupdict().items())
    written = {"apache": "Apache-2.0", "zero": "CC0-1.0", "cc": f"CC-{found.upper().replace('/', '-')}"}
    return written.get(kind, found)


def usage_terms(value: Any, *, where: str, known: bool) -> tuple[str | None, date | None]:
    """(purpose, last day) of schema.org/usageInfo when it is an ODRL offer of use under these two and nothing else.

    Raises DataError on any other term, unless the recipe states the purpose and so has read them (`known`).
    """
    purpose: str | None = None
    expires: date | None = None
    constraints = _constraints(value)
    understood = constraints is not None
    for left, operator, right in constraints or ():
        if (left, operator) == ("odrl:purpose", "odrl:eq") and isinstance(right, str) and purpose in (None, right):
            purpose = right
        elif (left, operator) == ("odrl:dateTime", "odrl:lteq") and expires is None:
            expires = iso_day(right, where=where)
        else:
            understood = False
    if not understood and not known:
        hint = "read them, then state `purpose:` (and `expires:`) in the recipe"
        raise DataError("its usageInfo has terms that are not understood", where=where, hint=hint)
    return purpose, expires


def _constraints(value: Any) -> list[tuple[Any, Any, Any]] | None:
    """(left, operator, right) of every constraint on use, or None when there is anything but permissions to use."""
    found: list[tuple[Any, Any, Any]] = []
    for offer in value if isinstance(value, list) else [] if value is None else [value]:
        permission = offer.get("odrl:permission") if isinstance(offer, dict) else None
        others = {"odrl:prohibition", "odrl:obligation", "odrl:duty"} & set(offer if isinstance(offer, dict) else ())
        if not isinstance(permission, dict) or others or _reference_id(permission.get("odrl:action")) != "odrl:use":
            return None
        constraints = permission.get("odrl:constraint", [])
        nodes = constraints if isinstance(constraints, list) else [constraints]
        if not all(isinstance(one, dict) for one in nodes):
            return None
        keys = ("odrl:leftOperand", "odrl:operator", "odrl:rightOperand")
        found += [(_reference_id(one.get(keys[0])), _reference_id(one.get(keys[1])), one.get(keys[2])) for one in nodes]
    return found


def _reference_id(reference: Any) -> Any:
    return reference.get("@id") if isinstance(reference, dict) else reference


def plain_text(value: Any) -> str | None:
    """A text on one line; of one in several languages the English, else the first."""
    if isinstance(value, dict):
        value = value.get("en") or next((item for item in value.values() if isinstance(item, str)), None)
    return " ".join(value.split()) or None if isinstance(value, str) else None


def joined_names(value: Any) -> str | None:
    """The names of persons, organisations, agents or entities, a comma between them."""
    found = []
    for item in value if isinstance(value, list) else [value]:
        node = item if isinstance(item, dict) else {"name": item}
        found.append(plain_text(node.get("name")) or plain_text(node.get("prov:label")))
    return ", ".join(name for name in found if name) or None


def single_language(value: Any) -> str | None:
    """The tag of the one language; of several none, for it is not known which row has which."""
    tags = {joined_names(item) for item in (value if isinstance(value, list) else [value])} - {None}
    return tags.pop() if len(tags) == 1 else None


def iso_day(value: Any, *, where: str) -> date | None:
    """The day of an ISO 8601 date or time. Raises DataError on anything else."""
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError as error:
        raise DataError(f"{str(value)[:40]!r} is no ISO 8601 date", where=where) from error
