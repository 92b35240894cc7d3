"""croissant.json: every value is marked, none is invented, bytes are reproducible. mlcroissant: see tests/parity."""

import json
from typing import Any

import pytest

from tunesmith.artifacts import SourceSummary
from tunesmith.release.cards import croissant_bytes
from tunesmith.release.cards.croissant import JSONLD_CONTEXT, MISSING_PROPERTIES, MISSING_RAI_PROPERTIES

DIGEST = "sha256:" + "3" * 64
FULL: dict[str, Any] = {
    "bytes": 120,
    "columns": {"messages": "turns"},
    "source": "tickets",
    "author": "Shop & Sons",
    "purpose": "answering customers",
    "collected": "2026-03-31",
    "expires": "2028-12-31",
    "source_class": "user",
    "generator": "writer-2",
    "language": "en",
    "subject": "customer",
}


def source(**changes: Any) -> SourceSummary:
    values: dict[str, Any] = {
        "path": "tickets.jsonl",
        "format": "messages",
        "rows": 950,
        "sha256": DIGEST,
        "license": "CC-BY-4.0",
        "origin": "the shop's help desk",
        "basis": "contract",
        "split": "train",
    }
    return SourceSummary(**(values | changes))


def exported(make: Any, *sources: SourceSummary, **audit: Any) -> dict[str, Any]:
    report = make.audit_report(**({"sources": sources, "test": None} | audit))
    return json.loads(croissant_bytes(make.recipe_of(), report))


def at(document: Any, pointer: str) -> Any:
    """Value at a JSON Pointer. Raises KeyError or IndexError if there is none."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        document = document[int(key)] if isinstance(document, list) else document[key]
    return document


def is_there(document: Any, pointer: str) -> bool:
    try:
        at(document, pointer)
    except (KeyError, IndexError):
        return False
    return True


def leaves(value: Any, pointer: str = "") -> list[str]:
    """JSON Pointers of all scalars."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, f"{pointer}/{key.replace('/', '~1')}")]
    if isinstance(value, list):
        return [leaf for number, item in enumerate(value) for leaf in leaves(item, f"{pointer}/{number}")]
    return [pointer]


def test_a_full_file_says_all_that_was_stated(make: Any) -> None:
    document = exported(make, source(**FULL))
    (file,) = document["distribution"]
    assert file == {
        "@type": "cr:FileObject",
        "@id": "file-1",
        "name": "tickets.jsonl",
        "contentUrl": "tickets.jsonl",
        "contentSize": "120 B",
        "encodingFormat": ["application/jsonlines"],
        "sha256": "3" * 64,
        "license": ["https://spdx.org/licenses/CC-BY-4.0"],
        "inLanguage": "en",
        "expires": "2028-12-31",
        "usageInfo": {
            "@type": ["CreativeWork", "odrl:Offer"],
            "name": "Terms of use",
            "odrl:permission": {
                "@type": "odrl:Permission",
                "odrl:action": {"@id": "odrl:use"},
                "odrl:constraint": [
                    {
                        "@type": "odrl:Constraint",
                        "odrl:leftOperand": {"@id": "odrl:purpose"},
                        "odrl:operator": {"@id": "odrl:eq"},
                        "odrl:rightOperand": "answering customers",
                    },
                    {
                        "@type": "odrl:Constraint",
                        "odrl:leftOperand": {"@id": "odrl:dateTime"},
                        "odrl:operator": {"@id": "odrl:lteq"},
                        "odrl:rightOperand": {
                            "@type": "http://www.w3.org/2001/XMLSchema#date",
                            "@value": "2028-12-31",
                        },
                    },
                ],
            },
        },
        "prov:wasDerivedFrom": {"@type": "prov:Entity", "prov:label": "the shop's help desk"},
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": "Collection",
            "prov:endedAtTime": "2026-03-31",
        },
        "prov:wasAttributedTo": [
            {"@type": "prov:Agent", "prov:label": "Shop & Sons"},
            {"@type": "prov:SoftwareAgent", "prov:label": "writer-2"},
        ],
        "tunesmith:split": "train",
        "tunesmith:format": "messages",
        "tunesmith:columns": {"messages": "turns"},
        "tunesmith:rows": 950,
        "tunesmith:source": "tickets",
        "tunesmith:sourceClass": "user",
        "tunesmith:basis": "contract",
        "tunesmith:subject": "customer",
    }
    place = {"fileObject": {"@id": "file-1"}, "extract": {"column": "turns"}}
    (rows,) = document["recordSet"]
    assert (rows["@type"], rows["@id"]) == ("cr:RecordSet", "rows-1")
    assert rows["field"] == [
        {
            "@type": "cr:Field",
            "@id": "rows-1/messages",
            "isArray": True,
            "arrayShape": "-1",
            "source": place,
            "subField": [
                {
                    "@type": "cr:Field",
                    "@id": f"rows-1/messages/{key}",
                    "dataType": "sc:Text",
                    "source": {**place, "transform": {"jsonPath": key}},
                }
                for key in ("role", "content")
            ],
        }
    ]


def test_the_data_set_as_a_whole(make: Any) -> None:
    document = exported(make, source(**FULL), redacted={"personal-data": 11}, dropped={"near-duplicate": 1}, warned={})
    whole = {
        key: value
        for key, value in document.items()
        if key not in ("@context", "distribution", "recordSet", "tunesmith:marks", "prov:wasGeneratedBy")
    }
    assert whole == {
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": "support-desk",
        "description": "916 rows that support-desk was tuned on, kept by an audit of 1,250 rows from 1 file. The rows "
        "themselves are not part of the release; each file is known by its SHA-256.",
        "license": ["https://spdx.org/licenses/CC-BY-4.0"],
        "tunesmith:license": "CC-BY-4.0",
        "creator": [{"@type": ["Person", "Organization"], "name": "Shop & Sons"}],
        "inLanguage": ["en"],
        "expires": "2028-12-31",
        "rai:dataCollectionRawData": "the shop's help desk",
        "rai:dataCollectionTimeframe": ["2026-03-31"],
        "rai:dataCollectionType": ["User-generated content data"],
        "rai:dataManipulationProtocol": "near-duplicate: 1 row taken out; personal-data: parts of 11 rows replaced",
        "rai:dataPreprocessingProtocol": [
            "exact-duplicate: id=exact-duplicate|version=1",
            "near-duplicate: id=near-duplicate|version=1",
        ],
        "rai:dataUseCases": ["Fine Tuning"],
        "rai:personalSensitiveInformation": [
            "Personal data: replaced in 11 rows. Only what has a form was looked for, such as addresses of electronic "
            "mail; names and street addresses were not."
        ],
        "prov:wasDerivedFrom": [{"@id": "file-1"}],
        "tunesmith:rowsDigest": {"train": "sha256:" + "5" * 64},
    }


def test_the_audit_is_named_by_its_report(make: Any) -> None:
    audit = make.audit_report()
    document = json.loads(croissant_bytes(make.recipe_of(), audit))
    assert document["prov:wasGeneratedBy"] == {
        "@type": "prov:Activity",
        "prov:label": "Audit",
        "tunesmith:report": audit.digest(),
        "prov:wasAssociatedWith": {
            "@type": "prov:SoftwareAgent",
            "prov:label": "Tunesmith",
            "tunesmith:code": audit.provenance.code,
        },
    }


def test_every_mark_of_the_data_set(make: Any) -> None:
    """A recipe that states only the licence of one file."""
    marks = exported(make, source(origin=None, basis=None))["tunesmith:marks"]
    of_the_whole = {key: mark for key, mark in marks.items() if not key.startswith(("/distribution", "/recordSet"))}
    rai_missing = {f"/rai:{name}": "missing" for name in MISSING_RAI_PROPERTIES}
    assert len(MISSING_RAI_PROPERTIES) == 13 and len(MISSING_PROPERTIES) == 9
    assert of_the_whole == {
        "/name": "declared",
        "/description": "measured",
        "/license": "declared",
        "/tunesmith:license": "declared",
        "/creator": "missing",
        "/inLanguage": "missing",
        "/expires": "missing",
        **{f"/{name}": "missing" for name in MISSING_PROPERTIES},
        **rai_missing,
        "/rai:dataCollectionType": "missing",
        "/rai:dataCollectionRawData": "missing",
        "/rai:dataCollectionTimeframe": "missing",
        "/rai:dataPreprocessingProtocol": "measured",
        "/rai:dataManipulationProtocol": "measured",
        "/rai:personalSensitiveInformation": "measured",
        "/rai:dataUseCases": "measured",
        "/prov:wasGeneratedBy/tunesmith:report": "measured",
        "/prov:wasGeneratedBy/prov:wasAssociatedWith/tunesmith:code": "measured",
        "/tunesmith:rowsDigest": "measured",
    }


@pytest.mark.parametrize("changes", [{}, FULL], ids=["little is stated", "all is stated"])
def test_every_mark_of_a_file(make: Any, changes: dict[str, Any]) -> None:
    marks = exported(make, source(**changes))["tunesmith:marks"]
    stated = "declared" if changes else "missing"
    assert {key.removeprefix("/distribution/0/"): mark for key, mark in marks.items() if "/distribution/0" in key} == {
        **dict.fromkeys(
            ("name", "contentUrl", "encodingFormat", "sha256", "tunesmith:format", "tunesmith:rows"), "measured"
        ),
        **dict.fromkeys(("license", "prov:wasDerivedFrom", "tunesmith:basis", "tunesmith:split"), "declared"),
        "contentSize": "measured" if changes else "missing",
        "tunesmith:stated": "missing",
        **dict.fromkeys(("inLanguage", "expires", "usageInfo", "prov:wasGeneratedBy", "prov:wasAttributedTo"), stated),
        **dict.fromkeys(
            ("tunesmith:columns", "tunesmith:source", "tunesmith:sourceClass", "tunesmith:subject"), stated
        ),
    }


@pytest.mark.parametrize("changes", [{"license": None, "origin": None, "basis": None}, {}, FULL])
def test_no_value_without_a_mark_and_no_value_where_one_is_missing(make: Any, changes: dict[str, Any]) -> None:
    document = exported(make, source(**changes), checks={}, redacted={}, warned={})
    marks = document.pop("tunesmith:marks")
    document.pop("@context")
    assert set(marks.values()) <= {"measured", "declared", "missing"}
    for pointer, mark in marks.items():
        assert is_there(document, pointer) == (mark != "missing"), pointer
    structure = ("@type", "@id", "conformsTo", "prov:label", "arrayShape", "isArray", "dataType", "jsonPath")
    for leaf in leaves(document):
        marked = any(leaf == pointer or leaf.startswith(f"{pointer}/") for pointer in marks)
        assert marked or any(f"/{name}" in leaf for name in structure), leaf


def test_what_nobody_stated_is_never_filled(make: Any) -> None:
    document = exported(
        make, source(license=None, origin=None, basis=None), checks={}, redacted={}, dropped={}, warned={}
    )
    text = json.dumps({key: value for key, value in document.items() if key not in ("@context", "tunesmith:marks")})
    assert not {"license", "creator", "url", "datePublished", "expires", "inLanguage"} & document.keys()
    assert "rai:personalSensitiveInformation" not in document
    assert "spdx.org" not in text and "odrl" not in text and "None" not in text and "null" not in text
    assert document["rai:dataManipulationProtocol"] == "No row was taken out and no text was replaced."


def test_a_value_of_the_whole_needs_every_row(make: Any) -> None:
    second = source(path="more.jsonl", sha256="sha256:" + "4" * 64, license="MIT", rows=50)
    both = exported(make, source(**FULL), second, train=make.audit_report().train.model_copy(update={"licenses": ()}))
    assert both["tunesmith:license"] == "CC-BY-4.0 AND MIT"
    assert both["license"] == ["https://spdx.org/licenses/CC-BY-4.0", "https://spdx.org/licenses/MIT"]
    assert not {"creator", "inLanguage", "rai:dataCollectionType", "rai:dataCollectionTimeframe"} & both.keys()
    assert both["expires"] == "2028-12-31"
    bare = second.model_copy(update={"license": None})
    assert "license" not in exported(make, source(), bare)
    dropped = {"unlicensed-source": "id=unlicensed-source|version=1|action=drop"}
    assert exported(make, source(), bare, checks=dropped)["tunesmith:license"] == "CC-BY-4.0"
    warned = {"unlicensed-source": "id=unlicensed-source|version=1|action=warn"}
    assert "license" not in exported(make, source(), bare, checks=warned)


def test_rows_speak_before_their_source(make: Any) -> None:
    """900 rows state MIT, 50 the licence of the source; all state French; one of three authors is that of the source."""
    counts = {
        "license": {"MIT": 900, "CC-BY-4.0": 50},
        "language": {"fr": 950},
        "author": {"Shop & Sons": 10, "Zelda": 4, "Quentin": 1},
        "subject": {"a" * 32: 3, "b" * 32: 4},
    }
    counted_source = source(**FULL, stated=SourceSummary.listed(counts, author="Shop & Sons"))
    document = exported(
        make, counted_source, train=make.audit_report().train.model_copy(update={"licenses": ("CC-BY-4.0", "MIT")})
    )
    (file,) = document["distribution"]
    assert document["tunesmith:license"] == "CC-BY-4.0 AND MIT" and document["inLanguage"] == ["fr"]
    assert (file["license"], file["inLanguage"]) == (["https://spdx.org/licenses/CC-BY-4.0"], "fr")
    assert "creator" not in document
    assert file["tunesmith:stated"] == {
        "author": {"": 5, "Shop & Sons": 10},
        "language": {"fr": 950},
        "license": {"CC-BY-4.0": 50, "MIT": 900},
        "subject": {"": 7},
    }
    assert document["rai:personalSensitiveInformation"][1] == (
        "7 rows with the mark of a person (HMAC-SHA256, secret key)."
    )
    text = json.dumps(document)
    assert "Zelda" not in text and "Quentin" not in text and "a" * 32 not in text


def test_the_context_is_the_one_of_the_specification() -> None:
    """Appendix 1 of the specification, but with https for schema.org: mlcroissant 1.1.1 rejects http."""
    assert JSONLD_CONTEXT["@vocab"] == JSONLD_CONTEXT["sc"] == "https://schema.org/"
    assert (JSONLD_CONTEXT["cr"], JSONLD_CONTEXT["dct"]) == (
        "http://mlcommons.org/croissant/",
        "http://purl.org/dc/terms/",
    )
    assert (JSONLD_CONTEXT["rai"], JSONLD_CONTEXT["prov"]) == (
        "http://mlcommons.org/croissant/RAI/",
        "http://www.w3.org/ns/prov#",
    )
    assert JSONLD_CONTEXT["odrl"] == "http://www.w3.org/ns/odrl/2/"
    assert JSONLD_CONTEXT["recordSet"] == "cr:recordSet" and JSONLD_CONTEXT["dataType"] == {
        "@id": "cr:dataType",
        "@type": "@vocab",
    }


def test_the_same_report_gives_the_same_bytes(make: Any) -> None:
    one = croissant_bytes(make.recipe_of(), make.audit_report())
    assert one == croissant_bytes(make.recipe_of(), make.audit_report())
    assert one.endswith(b"}\n") and b"MUST NOT LEAVE" not in one
