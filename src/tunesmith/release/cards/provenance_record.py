"""provenance.json: the data of a release in the Data Provenance Standards 1.0.0 of the Data & Trust Alliance, now at OASIS.

Groups and elements follow its JSON schema, `data-provenance-standard-1.0.0.schema.json`, as contributed to the OASIS Data
Provenance Standard committee (repository oasis-tcs/dps, contributions/schema/json). Elements that nobody stated are omitted;
`tunesmith:marks` lists every element of the standard as measured, declared or missing.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from tunesmith.artifacts import AuditReport, SourceSummary
from tunesmith.recipe import Recipe
from tunesmith.release.cards.croissant import (
    PERSONAL_DATA_CHECK,
    checked_for_personal_data,
    collection_period,
    dataset_description,
    declared_source_classes,
    rows_with_subject,
)
from tunesmith.release.cards.croissant_files import media_types
from tunesmith.release.cards.declarations import combined_declaration, combined_license, kept_row_licenses
from tunesmith.release.cards.marked_values import MISSING, MarkedValue, declared, measured, separate_marks

STANDARD_SCHEMA: Final = "https://dataandtrustalliance.org/data-provenance-standard-1.0.0.schema.json"
STANDARD_VERSION: Final = "1.0.0"
SOURCE_CLASS_SYSTEM: Final = "urn:tunesmith:source-class"
CHECK_SYSTEM: Final = "urn:tunesmith:check"
PURPOSE_SYSTEM: Final = "urn:tunesmith:purpose"
SOURCE_CLASS_DESCRIPTIONS: Final = {
    "public": "data that was public already",
    "licensed": "data that was licensed from its owner",
    "third-party": "data from a third party",
    "crawled": "data that was collected from web pages by a program",
    "user": "data from the users of a product",
    "synthetic": "data that a model wrote",
    "other": "another way, not named",
}
REDACTING_CHECKS: Final = ("personal-data", "secrets")


def provenance_bytes(recipe: Recipe, audit: AuditReport) -> bytes:
    """provenance.json as indented JSON. The same reports give the same bytes. It contains no text of any row."""
    plain, marks = separate_marks(
        {"source": _source(recipe, audit), "provenance": _provenance(audit), "use": _use(audit)},
    )
    document = {"$schema": STANDARD_SCHEMA, **plain, "tunesmith:marks": marks}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _source(recipe: Recipe, audit: AuditReport) -> dict[str, Any]:
    return {
        "version": measured(STANDARD_VERSION),
        "title": declared(recipe.name),
        "id": measured(f"urn:tunesmith:audit:{audit.digest()}"),
        "location": MISSING,
        "issuer": MISSING,
        "description": measured(dataset_description(recipe, audit)),
    }


def _provenance(audit: AuditReport) -> dict[str, Any]:
    days = collection_period(audit)
    formats = {kind for source in audit.sources for kind in media_types(source.path)[:1]}
    return {
        "source": measured("croissant.json"),
        "origin": _origin(audit.sources),
        "origin-geography": MISSING,
        "date": MISSING,
        "previous-date": MISSING,
        "generation-period": declared(None if days is None else {"start": days[0], "end": days[1]}),
        "generation-method": _generation_method(audit),
        "format": measured(sorted(formats)),
        "sub-provenance": MISSING,
    }


def _use(audit: AuditReport) -> dict[str, Any]:
    return {
        "classification": _classification(audit),
        "consents": MISSING,
        "privacy-enhancing": _privacy_techniques(audit),
        "processing-included": MISSING,
        "processing-excluded": MISSING,
        "storage-allowed": MISSING,
        "storage-forbidden": MISSING,
        "license": declared([] if combined_license(audit) is None else list(kept_row_licenses(audit))),
        "intended-purpose": _purposes(audit.sources),
        "copyright": MISSING,
        "patent": MISSING,
        "trademark": MISSING,
    }


def _origin(sources: Sequence[SourceSummary]) -> MarkedValue:
    declaration = combined_declaration(sources, "author")
    return declared([{"name": name} for name in sorted(declaration.rows)] if declaration.complete else None)


def _generation_method(audit: AuditReport) -> MarkedValue:
    return declared(
        [
            {"code": name, "system": SOURCE_CLASS_SYSTEM, "description": SOURCE_CLASS_DESCRIPTIONS.get(name, name)}
            for name in declared_source_classes(audit)
        ]
    )


def _purposes(sources: Sequence[SourceSummary]) -> MarkedValue:
    declaration = combined_declaration(sources, "purpose")
    purposes = [
        {"code": "stated", "system": PURPOSE_SYSTEM, "description": purpose} for purpose in sorted(declaration.rows)
    ]
    return declared(purposes if declaration.complete else None)


def _classification(audit: AuditReport) -> MarkedValue:
    """Personal data is the only confidential class the audit checks for. Missing when that check did not run."""
    if not checked_for_personal_data(audit):
        return MISSING
    regulation = {
        "code": PERSONAL_DATA_CHECK,
        "system": CHECK_SYSTEM,
        "description": "Personal data that has a form (GDPR Art. 4(1))",
    }
    return measured(
        [
            {
                "regulation": regulation,
                "evaluated": True,
                "tool": audit.checks.get(PERSONAL_DATA_CHECK, PERSONAL_DATA_CHECK),
            }
        ]
    )


def _privacy_techniques(audit: AuditReport) -> MarkedValue:
    """Redaction and pseudonymisation of the rows. The tool is written as `tool` and `tool-used`: the schema requires one name and
    documents the other."""
    techniques = [
        _technique(
            "redaction",
            "Matched characters were replaced",
            tool=audit.checks.get(rule, rule),
            rows=audit.redacted[rule],
        )
        for rule in REDACTING_CHECKS
        if audit.redacted.get(rule)
    ]
    if any(source.subject for source in audit.sources):
        description = "What identifies a person was replaced by an HMAC-SHA256 of it"
        techniques.append(_technique("pseudonymisation", description, tool="tunesmith", rows=rows_with_subject(audit)))
    return measured(techniques) if techniques else MISSING


def _technique(code: str, description: str, *, tool: str, rows: int) -> dict[str, Any]:
    category = {"code": code, "system": CHECK_SYSTEM, "description": description}
    return {"tool-category": category, "tool": tool, "tool-used": tool, "result": [f"{rows} rows"]}
