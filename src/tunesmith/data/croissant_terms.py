"""Read the terms of a Croissant file: licences, names, languages, dates, and terms of use in ODRL and PROV-O."""

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
"""URLs of licences with an SPDX id; ported Creative Commons licences (`/3.0/de/`) are not among them."""


def spdx_license(value: Any, *, where: str) -> str | None:
    """The SPDX expression of schema.org/license; several licences are joined with AND, since no choice between them is stated.

    Raises DataError on a licence without an SPDX expression.
    """
    licenses = value if isinstance(value, list) else [] if value is None else [value]
    texts = [_spdx_candidate(item) for item in licenses]
    if not texts:
        return None
    joined = combine_licenses(texts)
    if joined is None:
        unknown = next(
            (item for item, text in zip(licenses, texts, strict=True) if combine_licenses([text]) is None), licenses
        )
        hint = "set the SPDX expression in the recipe: `license: ...`"
        raise DataError(f"unknown licence {str(unknown)[:120]!r}", where=where, hint=hint)
    return texts[0] if len(texts) == 1 and " " in str(texts[0]) else joined


def _spdx_candidate(item: Any) -> str | None:
    """A candidate for an SPDX expression: the id of a known licence URL, or the text itself."""
    if isinstance(item, dict):
        options = [_spdx_candidate(item[key]) for key in ("name", "url", "@id") if isinstance(item.get(key), str)]
        return next((option for option in options if combine_licenses([option]) is not None), None)
    if not isinstance(item, str):
        return None
    page = next((match for pattern in LICENSE_PAGES if (match := pattern.fullmatch(item.strip()))), None)
    if page is None:
        return item.strip()
    ((kind, text),) = page.groupdict().items()
    spdx_ids = {"apache": "Apache-2.0", "zero": "CC0-1.0", "cc": f"CC-{text.upper().replace('/', '-')}"}
    return spdx_ids.get(kind, text)


def usage_terms(value: Any, *, where: str, terms_known: bool) -> tuple[str | None, date | None]:
    """(purpose, last day) of schema.org/usageInfo, when it is an ODRL offer of use with these two constraints only.

    Raises DataError on any other term, unless `terms_known` is set because the recipe states the purpose.
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
    if not understood and not terms_known:
        hint = "read the terms, then set `purpose:` (and `expires:`) in the recipe"
        raise DataError("usageInfo has unknown terms", where=where, hint=hint)
    return purpose, expires


def _constraints(value: Any) -> list[tuple[Any, Any, Any]] | None:
    """(left, operator, right) of each constraint on use; None when there is anything but permissions of use."""
    triples: list[tuple[Any, Any, Any]] = []
    for offer in value if isinstance(value, list) else [] if value is None else [value]:
        permission = offer.get("odrl:permission") if isinstance(offer, dict) else None
        others = {"odrl:prohibition", "odrl:obligation", "odrl:duty"} & set(offer if isinstance(offer, dict) else ())
        if not isinstance(permission, dict) or others or _reference_id(permission.get("odrl:action")) != "odrl:use":
            return None
        constraints = permission.get("odrl:constraint", [])
        nodes = constraints if isinstance(constraints, list) else [constraints]
        if not all(isinstance(node, dict) for node in nodes):
            return None
        keys = ("odrl:leftOperand", "odrl:operator", "odrl:rightOperand")
        triples += [
            (_reference_id(node.get(keys[0])), _reference_id(node.get(keys[1])), node.get(keys[2])) for node in nodes
        ]
    return triples


def _reference_id(reference: Any) -> Any:
    return reference.get("@id") if isinstance(reference, dict) else reference


def plain_text(value: Any) -> str | None:
    """A text on one line; of a text in several languages the English one, else the first."""
    if isinstance(value, dict):
        value = value.get("en") or next((item for item in value.values() if isinstance(item, str)), None)
    return " ".join(value.split()) or None if isinstance(value, str) else None


def joined_names(value: Any) -> str | None:
    """The names of persons, organisations, agents or entities, separated by commas."""
    texts = []
    for item in value if isinstance(value, list) else [value]:
        node = item if isinstance(item, dict) else {"name": item}
        texts.append(plain_text(node.get("name")) or plain_text(node.get("prov:label")))
    return ", ".join(name for name in texts if name) or None


def single_language(value: Any) -> str | None:
    """The language tag, when there is only one; None for several, since rows do not state theirs."""
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
