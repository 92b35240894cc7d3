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
from tunesmith.lineage.text_ngrams import normal_words
from tunesmith.store import Store

RUN_WORDS: Final = 8
"""Words in a row by which a text is known to repeat an erased row; fewer are shared by chance."""

SAMPLES_KEY: Final = "mask_sample"
"""Where a training report shows some of its rows, without their ids."""

ERASED_TEXT: Final = "[erased]"
GZIP_MAGIC: Final = b"\x1f\x8b"
PARQUET_MAGIC: Final = b"PAR1"
FINDINGS_COLUMNS: Final = ("place", "other")
"""Columns by which a table of findings is known among other tables."""

MAX_OBJECT_BYTES: Final = 1 << 28
"""Bytes of an object that is looked into; reports and quarantines are far smaller, weights are passed over."""

_REMOVED: Final = object()


@dataclass(frozen=True)
class ScrubTargets:
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


def word_runs(texts: Iterator[str]) -> frozenset[tuple[str, ...]]:
    """The runs of words by which the text of a row is known."""
    found: set[tuple[str, ...]] = set()
    for text in texts:
        words = normal_words(text)
        found.update(tuple(words[at : at + RUN_WORDS]) for at in range(len(words) - RUN_WORDS + 1))
    return frozenset(found)


def scrub_value(value: Any, wanted: ScrubTargets) -> Any:
    """A JSON value without what goes; None when it goes itself."""
    made = _scrub(value, wanted)
    return None if made is _REMOVED else made


def scrub_bytes(data: bytes, wanted: ScrubTargets) -> bytes:
    """The object's bytes without what goes; the same bytes when nothing does, or when they hold neither JSON nor findings."""
    if data.startswith(PARQUET_MAGIC):
        return _scrub_findings(data, wanted)
    packed = data.startswith(GZIP_MAGIC)
    plain = gzip.decompress(data) if packed else data
    values = _json_values(plain)
    if values is None:
        return data
    made = [_scrub(value, wanted) for value in values]
    if made == values:
        return data
    lines = [canonical_bytes(value) for value in made if value is not _REMOVED]
    text = b"".join(line + b"\n" for line in lines) if plain.endswith(b"\n") else b"\n".join(lines)
    return gzip.compress(text, compresslevel=6, mtime=0) if packed else text


def readable_objects(store: Store) -> Iterator[str]:
    """Digests of the objects that hold JSON, JSON lines or a table, and are no part of a model; in order."""
    found: dict[str, bytes] = {}
    models: set[str] = set()
    for path in sorted(store.objects.folder.glob("??/*")):
        digest = f"sha256:{path.parent.name}{path.name}"
        if len(digest) != 71 or path.stat().st_size > MAX_OBJECT_BYTES:
            continue
        with path.open("rb") as file:
            head = file.read(2)
        if head in (GZIP_MAGIC, PARQUET_MAGIC[:2]) or head[:1] == b"{":
            found[digest] = head
            models |= _tree_members(path.read_bytes()) if head[:1] == b"{" else set()
    yield from (digest for digest in found if digest not in models)


def stored_documents(store: Store) -> Iterator[dict[str, Any]]:
    """The stored JSON objects: reports, and whatever else is one."""
    for digest in readable_objects(store):
        data = store.objects.get(digest)
        values = _json_values(data) if data.startswith(b"{") else None
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


def _scrub_findings(data: bytes, wanted: ScrubTargets) -> bytes:
    with parquet.ParquetFile(pa.BufferReader(data)) as file:
        if not set(FINDINGS_COLUMNS) <= set(file.schema_arrow.names):
            return data
        table = file.read()
    lines = table.to_pylist()
    made = _scrub(lines, wanted)
    if made == lines:
        return data
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(made, schema=table.schema), sink, compression="zstd")
    return bytes(sink.getvalue())


def _tree_members(data: bytes) -> set[str]:
    """Digests of the files of a tree, when the bytes are its manifest."""
    if b".safetensors" not in data:
        return set()
    values = _json_values(data)
    manifest = values[0] if values and isinstance(values[0], dict) else {}
    whole = all(isinstance(entry, str) and entry.startswith("sha256:") for entry in manifest.values())
    return set(manifest.values()) if whole else set()


def _json_values(data: bytes) -> list[Any] | None:
    """The JSON value, or the values of JSON lines; None when the bytes are neither."""
    try:
        return [json.loads(data)]
    except ValueError:
        lines = data.splitlines()
    try:
        return [json.loads(line) for line in lines]
    except ValueError:
        return None


def _scrub(value: Any, wanted: ScrubTargets) -> Any:
    match value:
        case dict():
            return _scrub_object(value, wanted)
        case list():
            made = [_scrub(item, wanted) for item in value]
            return [item for item in made if item is not _REMOVED]
        case str():
            return _scrub_text(value, wanted)
        case _:
            return value


def _scrub_object(value: dict[str, Any], wanted: ScrubTargets) -> Any:
    if _is_erased(value, wanted) or _is_erased(_as_object(value.get("place")), wanted):
        return _REMOVED
    if str(value.get("container")) in wanted.datasets:
        return wanted.datasets[value["container"]].model_dump(mode="json")
    made: dict[str, Any] = {}
    for key, item in value.items():
        if key == "row_id" and isinstance(item, str):
            made[key] = wanted.renamed(item)
        elif key == "example":
            made[key] = item
        elif key == SAMPLES_KEY and isinstance(item, list) and _trained_on_erased(value, wanted):
            made[key] = [ERASED_TEXT for _ in item]
        else:
            inner = _scrub(item, wanted)
            made[key] = None if inner is _REMOVED else inner
    return made


def _trained_on_erased(value: dict[str, Any], wanted: ScrubTargets) -> bool:
    inputs = _as_object(_as_object(value.get("provenance")).get("inputs"))
    return inputs.get("dataset") in wanted.rows_digests


def _is_erased(value: dict[str, Any], wanted: ScrubTargets) -> bool:
    if value.get("row_id") in wanted.ids:
        return True
    marks = (value.get("subject"), _as_object(value.get("rights")).get("subject"))
    if wanted.subject is not None and wanted.subject in marks:
        return True
    if "row_id" not in value or not isinstance(value.get("example"), dict):
        return False
    return Example.model_validate(value["example"]).digest() in wanted.contents


def _as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _scrub_text(text: str, wanted: ScrubTargets) -> str:
    if text in wanted.replaced:
        return wanted.replaced[text]
    words = normal_words(text)
    holds = any(tuple(words[at : at + RUN_WORDS]) in wanted.runs for at in range(len(words) - RUN_WORDS + 1))
    return ERASED_TEXT if holds else text
