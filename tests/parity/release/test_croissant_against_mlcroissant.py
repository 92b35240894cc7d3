"""mlcroissant 1.1.1, the reference tool for Croissant, validates and reads our files, and we read its files.

What it refuses although the specification 1.1 allows it is pinned at the end: when one of these tests fails, it has been mended.
"""

import gzip
import hashlib
import json
import warnings
from datetime import date, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from tunesmith.artifacts import SourceSummary
from tunesmith.data.croissant import croissant_sources
from tunesmith.recipe import SourceSettings
from tunesmith.release.cards import croissant_bytes

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own dependencies, at import
    mlcroissant = pytest.importorskip("mlcroissant")

pytestmark = pytest.mark.filterwarnings("ignore")  # rdflib and pandas warn of themselves; no code of ours runs under it

SPEC = spec_from_file_location("fixtures_reports_for_croissant", Path(__file__).parents[2] / "fixtures_reports.py")
assert SPEC is not None and SPEC.loader is not None

RECOMMENDED = (
    "http://mlcommons.org/croissant/citeAs",
    "https://schema.org/datePublished",
    "https://schema.org/version",
)
"""Properties that nobody stated: the only permitted warnings."""

CHAT = [{"role": "user", "content": "Où est mon colis ?"}, {"role": "assistant", "content": "En route."}]
FILES: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "chat.jsonl": ("train", "messages", {}, json.dumps({"messages": CHAT}).encode() + b"\n"),
    "pairs.csv": (
        "train",
        "prompt-completion",
        {"prompt": "question", "completion": "answer"},
        b'question,answer\n"one, two",three\nfour,"fi""ve"\n',
    ),
    "labels.json": (
        "train",
        "labelled-text",
        {"text": "the text"},
        b'[{"the text": "a", "label": "x"}, {"the text": "b", "label": "y"}]',
    ),
    "plain.jsonl.gz": ("train", "text", {}, gzip.compress(b'{"text": "so it goes"}\n', mtime=0)),
    "held-out.tsv": ("test", "prompt-completion", {}, b"prompt\tcompletion\nsix\tseven\n"),
}
RECORDS: dict[str, list[dict[str, Any]]] = {
    "rows-1": [
        {
            "rows-1/messages": [
                {"rows-1/messages/role": turn["role"].encode(), "rows-1/messages/content": turn["content"].encode()}
                for turn in CHAT
            ]
        }
    ],
    "rows-2": [
        {"rows-2/prompt": b"one, two", "rows-2/completion": b"three"},
        {"rows-2/prompt": b"four", "rows-2/completion": b'fi"ve'},
    ],
    "rows-3": [{"rows-3/text": b"a", "rows-3/label": b"x"}, {"rows-3/text": b"b", "rows-3/label": b"y"}],
    "rows-4": [{"rows-4/text": b"so it goes"}],
    "rows-5": [{"rows-5/prompt": b"six", "rows-5/completion": b"seven"}],
}
FULL: dict[str, Any] = {
    "license": "MIT OR Apache-2.0",
    "origin": "the shop's help desk",
    "basis": "contract",
    "author": "Shop & Sons, Ltd.",
    "purpose": "answering customers",
    "collected": "2026-03-31",
    "expires": "2028-12-31",
    "source_class": "synthetic",
    "generator": "writer-2",
    "language": "pt-BR",
    "subject": "customer",
    "source": "tickets",
}
LITTLE: dict[str, Any] = {"license": None, "origin": None, "basis": None}


@pytest.fixture
def make() -> Any:
    module = module_from_spec(SPEC)  # type: ignore[arg-type]
    SPEC.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def export(make: Any, folder: Path, rights: dict[str, Any], **audit: Any) -> Path:
    """Write the files of FILES and a croissant.json that describes them."""
    sources = []
    for name, (split, form, columns, data) in FILES.items():
        (folder / name).write_bytes(data)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        known = {"path": name, "format": form, "rows": 2, "sha256": digest, "split": split, "columns": columns}
        sources.append(SourceSummary(**known, **rights, bytes=len(data)))
    report = make.audit_report(sources=tuple(sources), **audit)
    path = folder / "croissant.json"
    path.write_bytes(croissant_bytes(make.recipe_of(), report))
    return path


def issues(jsonld: Any) -> tuple[list[str], list[str]]:
    result = mlcroissant.Dataset(jsonld=jsonld).metadata.ctx.issues
    return sorted(result.errors), sorted(result.warnings)


@pytest.mark.parametrize("rights", [FULL, LITTLE, {**FULL, "license": "ours, see the contract", "subject": None}])
@pytest.mark.parametrize("audit", [{}, {"checks": {}, "dropped": {}, "redacted": {}, "warned": {}, "test": None}])
def test_it_is_valid_and_lacks_only_what_nobody_stated(
    make: Any, tmp_path: Path, rights: dict[str, Any], audit: dict[str, Any]
) -> None:
    path = export(make, tmp_path, rights, **audit)
    errors, warned = issues(path)
    assert errors == []
    recommended = [
        *RECOMMENDED,
        *(["https://schema.org/license"] if "license" not in json.loads(path.read_bytes()) else []),
    ]
    assert warned == sorted(
        f'[Metadata(support-desk)] Property "{name}" is recommended, but does not exist.' for name in recommended
    )


def test_it_conforms_to_version_1_1(make: Any, tmp_path: Path) -> None:
    metadata = mlcroissant.Dataset(jsonld=export(make, tmp_path, FULL)).metadata
    assert metadata.ctx.is_v1_1() and metadata.name == "support-desk"
    assert metadata.data_use_cases == ["Fine Tuning", "Testing"]
    assert [creator.name for creator in metadata.creators] == ["Shop & Sons, Ltd."]
    assert [file.sha256 for file in metadata.file_objects] == [
        hashlib.sha256(data).hexdigest() for *_, data in FILES.values()
    ]
    kept = metadata.to_json()
    assert kept["rai:dataCollectionTimeframe"] == "2026-03-31"
    assert kept["prov:wasGeneratedBy"]["prov:label"] == "Audit"
    marks = json.loads(kept["urn:tunesmith:croissant:marks"])
    assert marks["/name"] == "declared" and marks["/url"] == "missing"


@pytest.mark.parametrize("records", RECORDS)
def test_it_reads_the_rows_by_our_description(make: Any, tmp_path: Path, records: str) -> None:
    dataset = mlcroissant.Dataset(jsonld=export(make, tmp_path, FULL))
    assert list(dataset.records(records)) == RECORDS[records]


def test_it_notices_other_bytes(make: Any, tmp_path: Path) -> None:
    path = export(make, tmp_path, FULL)
    (tmp_path / "held-out.tsv").write_bytes(b"prompt\tcompletion\nsix\teight\n")
    with pytest.raises(mlcroissant.GenerationError):
        list(mlcroissant.Dataset(jsonld=path).records("rows-5"))


@pytest.mark.parametrize("rights", [FULL, LITTLE])
def test_what_we_write_we_read(make: Any, tmp_path: Path, rights: dict[str, Any]) -> None:
    path = export(make, tmp_path, rights)
    for split in ("train", "test"):
        assert croissant_sources(path, split=split, roots=(tmp_path,)) == tuple(
            SourceSettings(path=name, format=form, columns=columns, **rights)
            for name, (of, form, columns, _) in FILES.items()
            if of == split
        )


def test_columns_are_found_without_our_own_terms(make: Any, tmp_path: Path) -> None:
    """The fields contain the same mapping as `tunesmith:columns`."""
    path = export(make, tmp_path, LITTLE)
    document = json.loads(path.read_bytes())
    for file in document["distribution"]:
        file.pop("tunesmith:columns", None)
    path.write_text(json.dumps(document))
    assert [one.columns for one in croissant_sources(path, roots=(tmp_path,))] == [
        columns for _, _, columns, _ in FILES.values()
    ]


def test_what_mlcroissant_writes_we_read(tmp_path: Path) -> None:
    """A file built with the classes of mlcroissant, as a third party would."""
    data = b"q,a\none,two\n"
    (tmp_path / "rows.csv").write_bytes(data)
    kettles = mlcroissant.FileObject(
        id="rows",
        name="rows.csv",
        content_url="rows.csv",
        encoding_formats=["text/csv"],
        sha256=hashlib.sha256(data).hexdigest(),
    )
    fields = [
        mlcroissant.Field(
            id=f"r/{part}",
            name=part,
            data_types=mlcroissant.DataType.TEXT,
            source=mlcroissant.Source(file_object="rows", extract=mlcroissant.Extract(column=column)),
        )
        for part, column in (("prompt", "q"), ("completion", "a"))
    ]
    metadata = mlcroissant.Metadata(
        name="kettles",
        license=["https://creativecommons.org/licenses/by/4.0/"],
        cite_as="Bee 2026",
        creators=[mlcroissant.Person(name="Ann Bee")],
        data_collection_timeframe=[datetime(2025, 1, 1), datetime(2025, 12, 31)],
        distribution=[kettles],
        record_sets=[mlcroissant.RecordSet(id="r", name="r", fields=fields)],
    )
    path = tmp_path / "croissant.json"
    path.write_text(json.dumps(metadata.to_json()))
    assert croissant_sources(path, roots=(tmp_path,)) == (
        SourceSettings(
            path="rows.csv",
            source="kettles",
            license="CC-BY-4.0",
            origin="Bee 2026",
            author="Ann Bee",
            collected=date(2025, 12, 31),
            columns={"prompt": "q", "completion": "a"},
        ),
    )


class TestExceptions:
    """Valid by specification 1.1 but rejected by mlcroissant 1.1.1; croissant.py documents what we write instead."""

    def changed(self, make: Any, folder: Path, **changes: Any) -> dict[str, Any]:
        return {**json.loads(export(make, folder, FULL).read_bytes()), **changes}

    def test_the_specifications_own_context_with_http(self, make: Any, tmp_path: Path) -> None:
        document = self.changed(make, tmp_path)
        document["@context"] |= {"@vocab": "http://schema.org/", "sc": "http://schema.org/"}
        with pytest.raises(mlcroissant.ValidationError, match="doesn't extend https://schema.org/Dataset"):
            issues(document)

    def test_a_creator_that_is_not_said_to_be_a_person_or_an_organisation(self, make: Any, tmp_path: Path) -> None:
        with pytest.raises(mlcroissant.ValidationError, match="should have an attribute"):
            issues(self.changed(make, tmp_path, creator={"name": "Shop & Sons"}))

    def test_the_time_frame_under_the_specifications_name(self, make: Any, tmp_path: Path) -> None:
        """It expects `rai:dataCollectionTimeFrame`; under the other name the dates are kept but not interpreted."""
        document = self.changed(make, tmp_path)
        assert mlcroissant.Dataset(jsonld=document).metadata.data_collection_timeframe is None
        document["rai:dataCollectionTimeFrame"] = document.pop("rai:dataCollectionTimeframe")
        assert mlcroissant.Dataset(jsonld=document).metadata.data_collection_timeframe == [datetime(2026, 3, 31)]

    def test_a_file_without_a_digest(self, make: Any, tmp_path: Path) -> None:
        document = self.changed(make, tmp_path)
        del document["distribution"][0]["sha256"]
        with pytest.raises(mlcroissant.ValidationError, match=r"\['md5', 'sha256'\]"):
            issues(document)

    def test_an_address_with_quoted_characters_is_valid_but_not_read(self, make: Any, tmp_path: Path) -> None:
        document = self.changed(make, tmp_path)
        (tmp_path / "held out.tsv").write_bytes(FILES["held-out.tsv"][3])
        document["distribution"][4]["contentUrl"] = "held%20out.tsv"
        (tmp_path / "croissant.json").write_text(json.dumps(document))
        assert issues(tmp_path / "croissant.json")[0] == []
        with pytest.raises(mlcroissant.GenerationError):
            list(mlcroissant.Dataset(jsonld=tmp_path / "croissant.json").records("rows-5"))
