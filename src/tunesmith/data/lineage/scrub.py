"""Scrub: reports and quarantines without the rows that are erased, and without runs of their words.

An entry of a list that is about an erased row (its `row_id`, or that of its `place`) goes; a finding that compares with one
keeps its own row; a text that shares RUN words in a row with an erased row becomes `[erased]`, and so does every sample of
the rows of a training on a data set that goes, however short. Ids of rows that stay are given their new form, and digests of
what was replaced theirs.
"""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
from pyarrow import parquet

from tunesmith.artifacts import Dataset, Example, canonical_bytes
from tunesmith.data.lineage.text_runs import normal_words
from tunesmith.store import Store

RUN: Final = 8
"""Words in a row by which a text is known to repeat an erased row; fewer are shared by chance."""

SAMPLES: Final = "mask_sample"
"""Where a training report shows some of its rows, without their ids."""

ERASED: Final = "[erased]"
GZIP: Final = b"\x1f\x8b"
PARQUET: Final = b"PAR1"
FINDINGS: Final = ("place", "other")
"""Columns by which a table of findings is known among other tables."""

LARGEST: Final = 1 << 28
"""Bytes of an object that is looked into; reports and quarantines are far smaller, weights are passed over."""

_GONE: Final = object()


@dataclass(frozen=True)
class Wanted:
    """What goes: rows by id, by the person's mark, by the example's digest; `runs` are the words of their messages.

    `renamed` gives the new id of a row that stays; `replaced` maps digests of objects to those that take their place, and
    `datasets` containers to the data sets that do; `rows_digests` are those of the data sets that go.
    """

    ids: frozenset[str]
    contents: frozenset[str]
    runs: frozenset[tuple[str, ...]]
    subject: str | None = None
    renamed: Callable[[str], str] = str
    replaced: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    rows_digests: frozenset[str] = frozenset()


def runs_of(texts: Iterator[str]) -> frozenset[tuple[str, ...]]:
    """The runs of words by which the text of a row is known."""
    found: set[tuple[str, ...]] = set()
    for text in texts:
        words = normal_words(text)
        found.update(tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1))
    return frozenset(found)


def scrubbed(value: Any, wanted: Wanted) -> Any:
    """A JSON value without what goes; None when it goes itself."""
    made = _scrub(value, wanted)
    return None if made is _GONE else made


def scrub_bytes(data: bytes, wanted: Wanted) -> bytes:
    """The object's bytes without what goes; the same bytes when nothing does, or when they hold neither JSON nor findings."""
    if data.startswith(PARQUET):
        return _scrub_findings(data, wanted)
    packed = data.startswith(GZIP)
    plain = gzip.decompress(data) if packed else data
    values = _values(plain)
    if values is None:
        return data
    made = [_scrub(value, wanted) for value in values]
    if made == values:
        return data
    lines = [canonical_bytes(value) for value in made if value is not _GONE]
    text = b"".join(line + b"\n" for line in lines) if plain.endswith(b"\n") else b"\n".join(lines)
    return gzip.compress(text, compresslevel=6, mtime=0) if packed else text


def readable_objects(store: Store) -> Iterator[str]:
    """Digests of the objects that hold JSON, JSON lines or a table, and are no part of a model; in order."""
    found: dict[str, bytes] = {}
    models: set[str] = set()
    for path in sorted(store.objects.folder.glob("??/*")):
        digest = f"sha256:{path.parent.name}{path.name}"
        if len(digest) != 71 or path.stat().st_size > LARGEST:
            continue
        with path.open("rb") as file:
            head = file.read(2)
        if head in (GZIP, PARQUET[:2]) or head[:1] == b"{":
            found[digest] = head
            models |= _members(path.read_bytes()) if head[:1] == b"{" else set()
    yield from (digest for digest in found if digest not in models)


def documents(store: Store) -> Iterator[dict[str, Any]]:
    """The stored JSON objects: reports, and whatever else is one."""
    for digest in readable_objects(store):
        data = store.objects.get(digest)
        values = _values(data) if data.startswith(b"{") else None
        if values is not None and len(values) == 1 and isinstance(values[0], dict):
            yield values[0]


def stored_datasets(value: Any) -> Iterator[Dataset]:
    """Every data set that a JSON value speaks of."""
    if isinstance(value, dict):
        if set(value) == set(Dataset.model_fields):
            yield Dataset.model_validate(value)
        for item in value.values():
            yield from stored_datasets(item)
    elif isinstance(value, list):
        for item in value:
            yield from stored_datasets(item)


def _scrub_findings(data: bytes, wanted: Wanted) -> bytes:
    with parquet.ParquetFile(pa.BufferReader(data)) as file:
        if not set(FINDINGS) <= set(file.schema_arrow.names):
            return data
        table = file.read()
    lines = table.to_pylist()
    made = _scrub(lines, wanted)
    if made == lines:
        return data
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(made, schema=table.schema), sink, compression="zstd")
    return bytes(sink.getvalue())


def _members(data: bytes) -> set[str]:
    """Digests of the files of a tree, when the bytes are its manifest."""
    if b".safetensors" not in data:
        return set()
    values = _values(data)
    manifest = values[0] if values and isinstance(values[0], dict) else {}
    whole = all(isinstance(entry, str) and entry.startswith("sha256:") for entry in manifest.values())
    return set(manifest.values()) if whole else set()


def _values(data: bytes) -> list[Any] | None:
    """The JSON value, or the values of JSON lines; None when the bytes are neither."""
    try:
        return [json.loads(data)]
    except ValueError:
        lines = data.splitlines()
    try:
        return [json.loads(line) for line in lines]
    except ValueError:
        return None


def _scrub(value: Any, wanted: Wanted) -> Any:
    match value:
        case dict():
            return _scrub_object(value, wanted)
        case list():
            made = [_scrub(item, wanted) for item in value]
            return [item for item in made if item is not _GONE]
        case str():
            return _scrub_text(value, wanted)
        case _:
            return value


def _scrub_object(value: dict[str, Any], wanted: Wanted) -> Any:
    if _is_erased(value, wanted) or _is_erased(_object(value.get("place")), wanted):
        return _GONE
    if str(value.get("container")) in wanted.datasets:
        return wanted.datasets[value["container"]].model_dump(mode="json")
    made: dict[str, Any] = {}
    for key, item in value.items():
        if key == "row_id" and isinstance(item, str):
            made[key] = wanted.renamed(item)
        elif key == "example":
            made[key] = item
        elif key == SAMPLES and isinstance(item, list) and _trained_on(value, wanted):
            made[key] = [ERASED for _ in item]
        else:
            inner = _scrub(item, wanted)
            made[key] = None if inner is _GONE else inner
    return made


def _trained_on(value: dict[str, Any], wanted: Wanted) -> bool:
    inputs = _object(_object(value.get("provenance")).get("inputs"))
    return inputs.get("dataset") in wanted.rows_digests


def _is_erased(value: dict[str, Any], wanted: Wanted) -> bool:
    if value.get("row_id") in wanted.ids:
        return True
    marks = (value.get("subject"), _object(value.get("rights")).get("subject"))
    if wanted.subject is not None and wanted.subject in marks:
        return True
    if "row_id" not in value or not isinstance(value.get("example"), dict):
        return False
    return Example.model_validate(value["example"]).digest() in wanted.contents


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _scrub_text(text: str, wanted: Wanted) -> str:
    if text in wanted.replaced:
        return wanted.replaced[text]
    words = normal_words(text)
    holds = any(tuple(words[at : at + RUN]) in wanted.runs for at in range(len(words) - RUN + 1))
    return ERASED if holds else text
