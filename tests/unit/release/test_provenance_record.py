"""provenance.json: every element of the Data Provenance Standards 1.0.0 is marked once; unstated elements are omitted."""

import json
from typing import Any

import pytest

from tunesmith.artifacts import SourceSummary
from tunesmith.release.cards import provenance_bytes

ELEMENTS = {
    "source": ("version", "title", "id", "location", "issuer", "description"),
    "provenance": (
        *("source", "origin", "origin-geography", "date", "previous-date", "generation-period", "generation-method"),
        *("format", "sub-provenance"),
    ),
    "use": (
        *("classification", "consents", "privacy-enhancing", "processing-included", "processing-excluded"),
        *("storage-allowed", "storage-forbidden", "license", "intended-purpose", "copyright", "patent", "trademark"),
    ),
}
"""Element names of data-provenance-standard-1.0.0.schema.json, by group, in schema order."""

FULL: dict[str, Any] = {
    "author": "Shop & Sons",
    "purpose": "answering customers",
    "collected": "2026-03-31",
    "source_class": "crawled",
    "subject": "customer",
    "stated": {"subject": {"": 7}},
}


def source(**changes: Any) -> SourceSummary:
    values: dict[str, Any] = {
        "path": "tickets.csv.gz",
        "format": "messages",
        "rows": 950,
        "sha256": "sha256:" + "3" * 64,
        "license": None,
        "origin": None,
        "basis": None,
        "split": "train",
    }
    return SourceSummary(**(values | changes))


def record(make: Any, *sources: SourceSummary, **audit: Any) -> dict[str, Any]:
    report = make.audit_report(**({"sources": sources, "test": None, "redacted": {}, "warned": {}} | audit))
    return json.loads(provenance_bytes(make.recipe_of(), report))


def test_every_element_is_marked_once_and_none_is_made_up(make: Any) -> None:
    for document in (record(make, source()), record(make, source(**FULL), redacted={"secrets": 2})):
        marks = document["tunesmith:marks"]
        assert list(marks) == [f"/{group}/{name}" for group, names in ELEMENTS.items() for name in names]
        assert list(document) == ["$schema", "source", "provenance", "use", "tunesmith:marks"]
        for group, names in ELEMENTS.items():
            there = {name for name in names if marks[f"/{group}/{name}"] != "missing"}
            assert set(document[group]) == there


def test_the_whole_record(make: Any) -> None:
    audit = make.audit_report(
        sources=(source(**FULL, license="MIT"),),
        test=None,
        redacted={"personal-data": 11},
        warned={},
        checks={"personal-data": "id=personal-data|version=1|action=redact"},
        train=make.audit_report().train.model_copy(update={"licenses": ("MIT",)}),
    )
    document = json.loads(provenance_bytes(make.recipe_of(), audit))
    marks = document.pop("tunesmith:marks")
    assert {name for name, mark in marks.items() if mark == "declared"} == {
        *("/source/title", "/provenance/origin", "/provenance/generation-period", "/provenance/generation-method"),
        *("/use/license", "/use/intended-purpose"),
    }
    assert {name for name, mark in marks.items() if mark == "measured"} == {
        *("/source/version", "/source/id", "/source/description", "/provenance/source", "/provenance/format"),
        *("/use/classification", "/use/privacy-enhancing"),
    }
    check = "id=personal-data|version=1|action=redact"
    assert document == {
        "$schema": "https://dataandtrustalliance.org/data-provenance-standard-1.0.0.schema.json",
        "source": {
            "version": "1.0.0",
            "title": "support-desk",
            "id": f"urn:tunesmith:audit:{audit.digest()}",
            "description": "916 rows that support-desk was tuned on, kept by an audit of 1,250 rows from 1 file. The rows "
            "themselves are not part of the release; each file is known by its SHA-256.",
        },
        "provenance": {
            "source": "croissant.json",
            "origin": [{"name": "Shop & Sons"}],
            "generation-period": {"start": "2026-03-31", "end": "2026-03-31"},
            "generation-method": [
                {
                    "code": "crawled",
                    "system": "urn:tunesmith:source-class",
                    "description": "data that was collected from web pages by a program",
                }
            ],
            "format": ["text/csv"],
        },
        "use": {
            "classification": [
                {
                    "regulation": {
                        "code": "personal-data",
                        "system": "urn:tunesmith:check",
                        "description": "Personal data that has a form (GDPR Art. 4(1))",
                    },
                    "evaluated": True,
                    "tool": check,
                }
            ],
            "privacy-enhancing": [
                {
                    "tool-category": {
                        "code": "redaction",
                        "system": "urn:tunesmith:check",
                        "description": "Matched characters were replaced",
                    },
                    "tool": check,
                    "tool-used": check,
                    "result": ["11 rows"],
                },
                {
                    "tool-category": {
                        "code": "pseudonymisation",
                        "system": "urn:tunesmith:check",
                        "description": "What identifies a person was replaced by an HMAC-SHA256 of it",
                    },
                    "tool": "tunesmith",
                    "tool-used": "tunesmith",
                    "result": ["7 rows"],
                },
            ],
            "license": ["MIT"],
            "intended-purpose": [
                {"code": "stated", "system": "urn:tunesmith:purpose", "description": "answering customers"}
            ],
        },
    }


def test_nothing_is_known_where_nobody_looked(make: Any) -> None:
    document = record(make, source(), checks={"personal-data": "off"}, dropped={})
    assert document["use"] == {}
    assert document["provenance"] == {"source": "croissant.json", "format": ["text/csv"]}


def test_part_of_the_rows_is_not_all_of_them(make: Any) -> None:
    """A value stated by only one of two files is not set for both."""
    other = source(path="b.jsonl", sha256="sha256:" + "4" * 64)
    document = record(make, source(**FULL, license="MIT"), other, train=make.audit_report().train)
    assert "license" not in document["use"] and "intended-purpose" not in document["use"]
    assert set(document["provenance"]) == {"source", "format"}
    assert document["provenance"]["format"] == ["application/jsonlines", "text/csv"]


@pytest.mark.parametrize("group", ELEMENTS)
def test_required_elements_of_the_schema_that_no_recipe_states(make: Any, group: str) -> None:
    """The record validates against the schema once the maker adds these elements."""
    required = {
        "source": ("version", "title", "id", "issuer", "description"),
        "provenance": ("origin-geography", "date", "generation-method"),
        "use": ("intended-purpose",),
    }
    missing = {"source": {"issuer"}, "provenance": {"origin-geography", "date"}, "use": set()}
    document = record(make, source(**FULL))
    assert set(required[group]) - set(document[group]) == missing[group]


def test_the_same_report_gives_the_same_bytes(make: Any) -> None:
    one = provenance_bytes(make.recipe_of(), make.audit_report())
    assert one == provenance_bytes(make.recipe_of(), make.audit_report())
    assert b"MUST NOT LEAVE" not in one and b"NaN" not in one and b"null" not in one
