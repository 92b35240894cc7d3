"""provenance.json: the data of a release by the Data Provenance Standards 1.0.0 of the Data & Trust Alliance, now at OASIS.

Groups and element names are those of its JSON schema, `data-provenance-standard-1.0.0.schema.json`, as the Alliance gave it to
the OASIS Data Provenance Standard committee (repository oasis-tcs/dps, contributions/schema/json). An element that nobody
stated is not there; `tunesmith:marks` names every element of the standard, as measured, declared or missing.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from tunesmith.artifacts import AuditReport, SourceSummary
from tunesmith.recipe import Recipe
from tunesmith.release.cards.croissant import (
    PERSONAL,
    checked_for_persons,
    collected_by,
    description,
    period,
    rows_of_persons,
)
from tunesmith.release.cards.croissant_files import encodings
from tunesmith.release.cards.marks import MISSING, Said, declared, measured, split
from tunesmith.release.cards.stated import licenses, over_all, whole_license

STANDARD: Final = "https://dataandtrustalliance.org/data-provenance-standard-1.0.0.schema.json"
VERSION: Final = "1.0.0"
CLASSES: Final = "urn:tunesmith:source-class"
CHECKS: Final = "urn:tunesmith:check"
PURPOSES: Final = "urn:tunesmith:purpose"
METHODS: Final = {
    "public": "data that was public already",
    "licensed": "data that was licensed from its owner",
    "third-party": "data from a third party",
    "crawled": "data that was collected from web pages by a program",
    "user": "data from the users of a product",
    "synthetic": "data that a model wrote",
    "other": "another way, not named",
}
REDACTED: Final = ("personal-data", "secrets")


def provenance_bytes(recipe: Recipe, audit: AuditReport) -> bytes:
    """provenance.json: indented JSON; the same reports give the same bytes. No text of any row stands in it."""
    plain, marks = split(
        {"source": _source(recipe, audit), "provenance": _provenance(audit), "use": _use(audit)},
    )
    document = {"$schema": STANDARD, **plain, "tunesmith:marks": marks}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _source(recipe: Recipe, audit: AuditReport) -> dict[str, Any]:
    return {
        "version": measured(VERSION),
        "title": declared(recipe.name),
        "id": measured(f"urn:tunesmith:audit:{audit.digest()}"),
        "location": MISSING,
        "issuer": MISSING,
        "description": measured(description(recipe, audit)),
    }


def _provenance(audit: AuditReport) -> dict[str, Any]:
    days = period(audit)
    formats = {kind for source in audit.sources for kind in encodings(source.path)[:1]}
    return {
        "source": measured("croissant.json"),
        "origin": _origin(audit.sources),
        "origin-geography": MISSING,
        "date": MISSING,
        "previous-date": MISSING,
        "generation-period": declared(None if days is None else {"start": days[0], "end": days[1]}),
        "generation-method": _method(audit),
        "format": measured(sorted(formats)),
        "sub-provenance": MISSING,
    }


def _use(audit: AuditReport) -> dict[str, Any]:
    return {
        "classification": _classification(audit),
        "consents": MISSING,
        "privacy-enhancing": _enhancing(audit),
        "processing-included": MISSING,
        "processing-excluded": MISSING,
        "storage-allowed": MISSING,
        "storage-forbidden": MISSING,
        "license": declared([] if whole_license(audit) is None else list(licenses(audit))),
        "intended-purpose": _purposes(audit.sources),
        "copyright": MISSING,
        "patent": MISSING,
        "trademark": MISSING,
    }


def _origin(sources: Sequence[SourceSummary]) -> Said:
    found = over_all(sources, "author")
    return declared([{"name": name} for name in sorted(found.rows)] if found.complete else None)


def _method(audit: AuditReport) -> Said:
    return declared(
        [{"code": name, "system": CLASSES, "description": METHODS.get(name, name)} for name in collected_by(audit)]
    )


def _purposes(sources: Sequence[SourceSummary]) -> Said:
    found = over_all(sources, "purpose")
    known = [{"code": "stated", "system": PURPOSES, "description": purpose} for purpose in sorted(found.rows)]
    return declared(known if found.complete else None)


def _classification(audit: AuditReport) -> Said:
    """The one kind of confidential data that the audit looks for; without the check nothing is known."""
    if not checked_for_persons(audit):
        return MISSING
    regulation = {"code": PERSONAL, "system": CHECKS, "description": "Personal data that has a form (GDPR Art. 4(1))"}
    return measured([{"regulation": regulation, "evaluated": True, "tool": audit.checks.get(PERSONAL, PERSONAL)}])


def _enhancing(audit: AuditReport) -> Said:
    """What was replaced in the rows, and how persons are marked. `tool` stands twice: the schema requires the one name and
    describes the other."""
    done = [
        _technique(
            "redaction",
            "Matched characters were replaced",
            tool=audit.checks.get(rule, rule),
            rows=audit.redacted[rule],
        )
        for rule in REDACTED
        if audit.redacted.get(rule)
    ]
    if any(source.subject for source in audit.sources):
        what = "What identifies a person was replaced by an HMAC-SHA256 of it"
        done.append(_technique("pseudonymisation", what, tool="tunesmith", rows=rows_of_persons(audit)))
    return measured(done) if done else MISSING


def _technique(code: str, what: str, *, tool: str, rows: int) -> dict[str, Any]:
    category = {"code": code, "system": CHECKS, "description": what}
    return {"tool-category": category, "tool": tool, "tool-used": tool, "result": [f"{rows} rows"]}
