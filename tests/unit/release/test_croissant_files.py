"""Files in croissant.json: licence URLs, media types, no local paths, columns."""

import json
from typing import Any

import pytest

from tunesmith.artifacts import SourceSummary
from tunesmith.release.cards import croissant_bytes
from tunesmith.release.cards.croissant_files import license_value, media_types
from tunesmith.release.cards.marked_values import MISSING, declared


def exported(make: Any, *files: dict[str, Any]) -> dict[str, Any]:
    """The document for files that state only their licence."""
    stated = {"format": "messages", "rows": 950, "sha256": "sha256:" + "3" * 64, "license": "CC-BY-4.0"}
    nothing = {"origin": None, "basis": None, "split": "train"}
    sources = tuple(SourceSummary(**(stated | nothing | file)) for file in files)
    return json.loads(croissant_bytes(make.recipe_of(), make.audit_report(sources=sources, test=None)))


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ("MIT", ["https://spdx.org/licenses/MIT"]),
        ("CC-BY-4.0 AND MIT", ["https://spdx.org/licenses/CC-BY-4.0", "https://spdx.org/licenses/MIT"]),
        (
            "(Apache-2.0 OR (CC0-1.0 AND MIT)) AND MIT",
            [{"@type": "CreativeWork", "name": "(Apache-2.0 OR (CC0-1.0 AND MIT))"}, "https://spdx.org/licenses/MIT"],
        ),
        ("LicenseRef-Shop", [{"@type": "CreativeWork", "name": "LicenseRef-Shop"}]),
        (
            "GPL-2.0-only WITH Classpath-exception-2.0",
            [{"@type": "CreativeWork", "name": "GPL-2.0-only WITH Classpath-exception-2.0"}],
        ),
        ("ours, see the contract", [{"@type": "CreativeWork", "name": "ours, see the contract"}]),
    ],
)
def test_licences_as_addresses(expression: str, written: list[Any]) -> None:
    assert license_value(expression) == declared(written)


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_no_licence_is_missing(nothing: str | None) -> None:
    assert license_value(nothing) is MISSING


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b.jsonl", ["application/jsonlines"]),
        ("b.JSON", ["application/json"]),
        ("b.csv.gz", ["text/csv", "application/gzip"]),
        ("v1.2.tsv", ["text/tab-separated-values"]),
        ("b.parquet", ["application/x-parquet"]),
    ],
)
def test_media_types_by_name(path: str, expected: list[str]) -> None:
    assert media_types(path) == expected


def test_paths_are_addresses_and_tell_nothing_of_the_maker(make: Any) -> None:
    document = exported(make, {"path": "my rows/a&b#1.jsonl"}, {"path": "/home/ann/secret/rows.jsonl"})
    assert [file["contentUrl"] for file in document["distribution"]] == ["my%20rows/a%26b%231.jsonl", "rows.jsonl"]
    assert "/home/ann" not in json.dumps(document)


def test_a_key_of_a_json_array(make: Any) -> None:
    json_source = {"path": "rows.json", "format": "prompt-completion", "columns": {"prompt": "the question"}}
    extracts = [field["source"]["extract"] for field in exported(make, json_source)["recordSet"][0]["field"]]
    assert extracts == [{"jsonPath": '$[*]."the question"'}, {"jsonPath": "$[*].completion"}]


def test_an_unknown_format_has_no_fields(make: Any) -> None:
    assert exported(make, {"path": "rows.jsonl", "format": "from-a-plugin"})["recordSet"][0]["field"] == []
