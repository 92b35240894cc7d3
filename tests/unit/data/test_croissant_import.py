"""Import of a Croissant file: rights are read, digests are verified, unsupported content is an error."""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tunesmith.data.croissant import croissant_sources
from tunesmith.errors import DataError, IntegrityBroken
from tunesmith.recipe import SourceSettings

ROWS = b'{"prompt": "Where is my kettle?", "completion": "On its way."}\n'
SPDX = "https://spdx.org/licenses/"


def digest(data: bytes = ROWS) -> str:
    return hashlib.sha256(data).hexdigest()


def file_object(name: str = "rows.jsonl", **changes: Any) -> dict[str, Any]:
    values = {
        "@type": "cr:FileObject",
        "@id": f"id-of-{name}",
        "name": name,
        "contentUrl": name,
        "encodingFormat": "application/jsonlines",
        "sha256": digest(),
    }
    return {key: value for key, value in (values | changes).items() if value is not None}


def write(folder: Path, *files: dict[str, Any], **changes: Any) -> Path:
    """A Croissant file as another tool writes it, with its data file."""
    (folder / "rows.jsonl").write_bytes(ROWS)
    document = {
        "@context": {"@vocab": "https://schema.org/"},
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "kettles",
        "distribution": list(files) or [file_object()],
    }
    path = folder / "croissant.json"
    path.write_text(json.dumps({key: value for key, value in (document | changes).items() if value is not None}))
    return path


def one(folder: Path, *files: dict[str, Any], own: dict[str, Any] | None = None, **changes: Any) -> SourceSettings:
    (found,) = croissant_sources(write(folder, *files, **changes), own=own or {}, roots=(folder,))
    return found


def refused(folder: Path, *files: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        croissant_sources(write(folder, *files, **changes), roots=(folder,))
    assert caught.value.where.startswith(str(folder / "croissant.json"))
    return caught.value.what


def test_a_minimal_croissant_file(tmp_path: Path) -> None:
    assert one(tmp_path) == SourceSettings(path="rows.jsonl", source="kettles")


def test_a_full_croissant_file_of_another_tool(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        **{
            "sc:license": "https://creativecommons.org/licenses/by/4.0/",
            "creator": [{"@type": "Person", "name": "Ann Bee"}, {"@type": "Organization", "name": "Kettle Club"}],
            "citeAs": "@misc{kettles,\n title = {Kettles}}",
            "description": {"de": "Kessel", "en": "Kettles and what people ask of them."},
            "inLanguage": ["en"],
            "expires": "2030-01-01T00:00:00Z",
            "rai:dataCollectionTimeframe": ["2025-01-01", "2025-12-31T23:59:59"],
            "recordSet": [
                {
                    "@type": "cr:RecordSet",
                    "field": [
                        {
                            "@id": "rows/prompt",
                            "source": {
                                "fileObject": {"@id": "id-of-rows.jsonl"},
                                "extract": {"column": "question"},
                            },
                        },
                        {
                            "@id": "x",
                            "name": "completion",
                            "source": {
                                "fileObject": {"@id": "id-of-rows.jsonl"},
                                "extract": {"jsonPath": "$[*].answer"},
                            },
                        },
                        {"@id": "rows/id", "source": {"fileObject": {"@id": "id-of-rows.jsonl"}}},
                        {"@id": "rows/text", "source": {"fileObject": {"@id": "another"}, "extract": {"column": "t"}}},
                    ],
                }
            ],
        },
    )
    assert found == SourceSettings(
        path="rows.jsonl",
        source="kettles",
        license="CC-BY-4.0",
        author="Ann Bee, Kettle Club",
        origin="@misc{kettles, title = {Kettles}}",
        language="en",
        expires=date(2030, 1, 1),
        collected=date(2025, 12, 31),
        columns={"prompt": "question", "completion": "answer"},
    )


def test_a_description_is_the_origin_when_there_is_no_citation(tmp_path: Path) -> None:
    assert one(tmp_path, description={"de": "Kessel", "en": "Kettles."}).origin == "Kettles."


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (f"{SPDX}MIT", "MIT"),
        (f"{SPDX}MIT.html", "MIT"),
        ("http://spdx.org/licenses/Apache-2.0", "Apache-2.0"),
        ("cc-by-4.0", "CC-BY-4.0"),
        ("MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ([f"{SPDX}MIT", f"{SPDX}CC0-1.0"], "CC0-1.0 AND MIT"),
        ([f"{SPDX}MIT"], "MIT"),
        ({"@type": "CreativeWork", "name": "LicenseRef-Shop"}, "LicenseRef-Shop"),
        ({"@type": "CreativeWork", "name": "The MIT licence", "url": "https://opensource.org/licenses/MIT"}, "MIT"),
        ("https://choosealicense.com/licenses/bsd-3-clause/", "BSD-3-Clause"),
        ("https://www.apache.org/licenses/LICENSE-2.0.txt", "Apache-2.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/3.0/deed.en", "CC-BY-NC-SA-3.0"),
        ({"@value": f"{SPDX}MIT"}, "MIT"),
        (None, None),
        ([], None),
    ],
)
def test_licences(tmp_path: Path, given: Any, read: str | None) -> None:
    assert one(tmp_path, license=given).license == read


@pytest.mark.parametrize(
    "given",
    [
        "free for research",
        f"{SPDX}My-Own",
        "https://creativecommons.org/licenses/by/3.0/de/",
        "https://example.test/licence",
        [f"{SPDX}MIT", "ask us"],
        {"@type": "CreativeWork", "url": "https://example.test/licence"},
        [7],
    ],
)
def test_an_unknown_licence_is_an_error_unless_the_recipe_states_it(tmp_path: Path, given: Any) -> None:
    assert refused(tmp_path, license=given).startswith("unknown licence")
    assert one(tmp_path, license=given, own={"license": "LicenseRef-Read"}).license == "LicenseRef-Read"


def test_properties_of_the_file_override_those_of_the_data_set(tmp_path: Path) -> None:
    mine = file_object(
        license=f"{SPDX}MIT", inLanguage="fr", creator={"@type": "Person", "name": "Cy"}, expires="2027-05-01"
    )
    found = one(
        tmp_path, mine, license=f"{SPDX}CC0-1.0", inLanguage="en", creator={"name": "Dee"}, expires="2026-01-01"
    )
    assert (found.license, found.language, found.author) == ("MIT", "fr", "Cy")
    assert found.expires == date(2027, 5, 1)


@pytest.mark.parametrize(
    ("key", "frame"),
    [
        ("Timeframe", ["2025-03-01", "2025-01-01"]),
        ("Timeframe", "2025-01-01/2025-03-01"),
        ("TimeFrame", "2025-03-01T12:00:00Z"),
    ],
)
def test_the_last_day_of_collection(tmp_path: Path, key: str, frame: Any) -> None:
    assert one(tmp_path, **{f"rai:dataCollection{key}": frame}).collected == date(2025, 3, 1)


def test_several_languages_give_no_language(tmp_path: Path) -> None:
    assert one(tmp_path, inLanguage=["en", "fr"]).language is None


def test_changed_bytes_are_an_integrity_error(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "rows.jsonl").write_bytes(ROWS + b" ")
    with pytest.raises(IntegrityBroken, match=r"rows\.jsonl has another SHA-256 than described: [0-9a-f]{64}"):
        croissant_sources(path)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sha256": None}, "the FileObject has no sha256"),
        ({"sha256": "0" * 63}, "the FileObject has no sha256"),
        ({"sha256": None, "md5": "0" * 32}, "the FileObject has no sha256"),
        ({"contentUrl": None}, "the FileObject has no contentUrl"),
        ({"contentUrl": "other.jsonl", "name": None}, "file other.jsonl not found"),
        ({"containedIn": {"@id": "archive.zip"}}, "files inside archives (`containedIn`) are not supported"),
        (
            {"contentUrl": "https://example.test/a/far.jsonl", "name": None},
            "https://example.test/a/far.jsonl is remote",
        ),
        ({"contentUrl": "s3://bucket/far.jsonl", "name": "far"}, "s3://bucket/far.jsonl is remote"),
        ({"contentUrl": "//example.test/far.jsonl", "name": "far"}, "//example.test/far.jsonl is remote"),
        ({"@type": "cr:FileSet"}, "the distribution has FileSet"),
        ({"@type": None}, "the distribution has an entry without @type"),
        ({"expires": "next year"}, "'next year' is no ISO 8601 date"),
        ({"tunesmith:sourceClass": "found"}, None),
    ],
)
def test_unsupported_files(tmp_path: Path, changes: dict[str, Any], what: str | None) -> None:
    told = refused(tmp_path, file_object(**changes))
    assert told == what if what else told.startswith("source_class: Input should be 'public', 'licensed'")


@pytest.mark.parametrize("url", ["https://example.test/rows.jsonl", "https://example.test/r?download=1"])
def test_a_local_copy_of_a_remote_file_is_read(tmp_path: Path, url: str) -> None:
    assert one(tmp_path, file_object(contentUrl=url)).path == "rows.jsonl"
    with pytest.raises(IntegrityBroken):
        one(tmp_path, file_object(contentUrl=url, sha256="0" * 64))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"conformsTo": None}, "conformsTo is None"),
        ({"conformsTo": "http://mlcommons.org/croissant/2.0"}, "conformsTo is 'http://mlcommons.org/croissant/2.0'"),
        ({"distribution": []}, "no files: `distribution` is missing or empty"),
        (
            {"usageInfo": {"@type": "DefinedTerm", "termCode": "DUO_0000042"}},
            "usageInfo has unknown terms",
        ),
        ({"usageInfo": "https://example.test/terms"}, "usageInfo has unknown terms"),
    ],
)
def test_unsupported_documents(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    assert refused(tmp_path, **changes) == what


@pytest.mark.parametrize("text", ["", "[]", "{", "3", "[" * 100_000])
def test_files_that_are_not_croissant(tmp_path: Path, text: str) -> None:
    path = tmp_path / "croissant.json"
    path.write_text(text)
    with pytest.raises(DataError):
        croissant_sources(path)
    with pytest.raises(DataError, match="no such file"):
        croissant_sources(tmp_path / "none.json")


@pytest.mark.parametrize("version", ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/1.1"])
@pytest.mark.parametrize("key", ["conformsTo", "dct:conformsTo", "http://purl.org/dc/terms/conformsTo"])
def test_versions(tmp_path: Path, version: str, key: str) -> None:
    both = ["http://mlcommons.org/croissant/RAI/1.0", {"@id": version}]
    assert one(tmp_path, **{"conformsTo": None, key: both}).path == "rows.jsonl"


def offer(**changes: Any) -> dict[str, Any]:
    constraint = {
        "odrl:leftOperand": {"@id": "odrl:purpose"},
        "odrl:operator": {"@id": "odrl:eq"},
        "odrl:rightOperand": "tea",
    }
    permission = {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": [constraint | changes]}
    return {"@type": "odrl:Offer", "odrl:permission": permission}


@pytest.mark.parametrize(
    "terms",
    [
        offer(**{"odrl:leftOperand": {"@id": "odrl:spatial"}}),
        offer(**{"odrl:operator": {"@id": "odrl:neq"}}),
        {**offer(), "odrl:prohibition": {"odrl:action": {"@id": "odrl:sell"}}},
        {"odrl:permission": {"odrl:action": {"@id": "odrl:read"}}},
        [offer(), offer(**{"odrl:rightOperand": "coffee"})],
    ],
)
def test_unknown_terms_are_an_error_until_the_recipe_states_the_purpose(tmp_path: Path, terms: Any) -> None:
    assert refused(tmp_path, usageInfo=terms) == "usageInfo has unknown terms"
    assert one(tmp_path, usageInfo=terms, own={"purpose": "tea"}).purpose == "tea"


def test_the_earlier_of_two_expiry_dates_applies(tmp_path: Path) -> None:
    day = {"@type": "xsd:date", "@value": "2029-01-01"}
    until = offer(
        **{
            "odrl:leftOperand": {"@id": "odrl:dateTime"},
            "odrl:operator": {"@id": "odrl:lteq"},
            "odrl:rightOperand": day,
        }
    )
    found = one(tmp_path, usageInfo=until, expires="2030-01-01")
    assert (found.expires, found.purpose) == (date(2029, 1, 1), None)
    assert one(tmp_path, usageInfo=offer()).purpose == "tea"


@pytest.mark.parametrize(
    "source",
    [
        {"extract": {"column": "q"}, "transform": {"regex": "(.*)"}},
        {"extract": {"fileProperty": "content"}},
        {"extract": {"jsonPath": "$.rows[*].q"}},
        {},
    ],
)
def test_a_role_must_be_a_plain_column(tmp_path: Path, source: dict[str, Any]) -> None:
    field = {"@id": "rows/prompt", "source": {"fileObject": {"@id": "id-of-rows.jsonl"}, **source}}
    assert refused(tmp_path, recordSet=[{"field": [field]}]) == "the field is not a plain column"
    assert one(tmp_path, recordSet=[{"field": [field]}], own={"columns": {"prompt": "q"}}).columns == {"prompt": "q"}


def test_two_columns_for_one_role_are_an_error(tmp_path: Path) -> None:
    fields = [
        {"@id": f"{rows}/text", "source": {"fileObject": {"@id": "id-of-rows.jsonl"}, "extract": {"column": rows}}}
        for rows in ("a", "b")
    ]
    assert refused(tmp_path, recordSet={"field": fields}) == "two fields read 'text' from different columns"


def test_a_file_is_selected_by_name_and_split(tmp_path: Path) -> None:
    (tmp_path / "held out.jsonl").write_bytes(ROWS * 2)
    files = (
        file_object(**{"tunesmith:split": "train"}),
        file_object(
            "held out.jsonl", contentUrl="held%20out.jsonl", sha256=digest(ROWS * 2), **{"tunesmith:split": "test"}
        ),
    )
    path = write(tmp_path, *files)
    assert [one.path for one in croissant_sources(path, roots=(tmp_path,))] == ["rows.jsonl", "held out.jsonl"]
    assert [one.path for one in croissant_sources(path, split="test", roots=(tmp_path,))] == ["held out.jsonl"]
    for name in ("held out.jsonl", "held%20out.jsonl", "id-of-held out.jsonl"):
        (picked,) = croissant_sources(path, own={"path": name}, roots=(tmp_path,))
        assert picked.path == "held out.jsonl"
    with pytest.raises(DataError, match="no file matches"):
        croissant_sources(path, split="train", own={"path": "held out.jsonl"})


def test_folders_in_which_files_are_looked_up(tmp_path: Path) -> None:
    """Beside the Croissant file first, then below the roots in order; paths are relative to the first root that contains them."""
    data, release = tmp_path / "data", tmp_path / "release"
    for folder in (data / "sub", release):
        folder.mkdir(parents=True)
    path = write(release, file_object(contentUrl="sub/rows.jsonl"))
    (release / "rows.jsonl").unlink()
    (data / "sub" / "rows.jsonl").write_bytes(ROWS)
    assert [one.path for one in croissant_sources(path, roots=(tmp_path / "none", data))] == ["sub/rows.jsonl"]
    beside = write(release)
    assert [one.path for one in croissant_sources(beside, roots=(data,))] == [
        (release / "rows.jsonl").resolve().as_posix()
    ]


def changed(value: Any, odd: Any) -> list[Any]:
    """Copies of a JSON value, each with one of its parts replaced."""
    if isinstance(value, dict):
        return [odd, *({**value, key: new} for key, item in value.items() for new in changed(item, odd))]
    if isinstance(value, list):
        return [
            odd,
            *([*value[:n], new, *value[n + 1 :]] for n, item in enumerate(value) for new in changed(item, odd)),
        ]
    return [odd]


@pytest.mark.parametrize("odd", [None, 7, "", "x", "http://[", [], {}, [None], [[7]], {"a": {"b": 1}}, True], ids=repr)
def test_invalid_values_anywhere_give_an_error_with_a_message(tmp_path: Path, odd: Any) -> None:
    """It is read, or raises a Tunesmith error; never another exception."""
    field = {"@id": "r/prompt", "source": {"fileObject": {"@id": "id-of-rows.jsonl"}, "extract": {"column": "q"}}}
    mine = {
        "license": [f"{SPDX}MIT"],
        "creator": [{"name": "Ann"}],
        "prov:wasAttributedTo": [{"@type": "prov:SoftwareAgent", "prov:label": "m"}],
        "prov:wasGeneratedBy": {"prov:endedAtTime": "2025-01-01"},
        "prov:wasDerivedFrom": {"prov:label": "here"},
        "usageInfo": offer(),
        "tunesmith:columns": {"prompt": "q"},
        "tunesmith:split": "train",
    }
    path = write(
        tmp_path,
        file_object(**mine),
        recordSet=[{"field": [field]}],
        expires="2026-01-01",
        citeAs="c",
        name={"en": "n"},
    )
    document = json.loads(path.read_bytes())
    assert croissant_sources(path, roots=(tmp_path,))[0].generator == "m"
    for other in changed(document, odd):
        path.write_text(json.dumps(other))
        try:
            assert croissant_sources(path, roots=(tmp_path,))
        except (DataError, IntegrityBroken) as error:
            assert str(tmp_path) in error.where
