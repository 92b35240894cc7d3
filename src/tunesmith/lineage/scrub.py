"""Scrub erased rows, and runs of their words, from reports and quarantines.

- A list entry about an erased row (by its `row_id` or that of its `place`) is removed; a finding about another row that compares
  with an erased one is kept.
- A text that shares RUN_WORDS consecutive words with an erased row becomes `[erased]`. So does every row sample of a training on
  a rewritten data set, however short.
- Row ids that remain get their new value, and digests of replaced objects get the new digest.
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
"""Length of a shared run from which a text repeats an erased row; shorter runs are shared by chance."""

SAMPLES_KEY: Final = "mask_sample"
"""Key of a training report under which it shows some of its rows, without row ids."""

ERASED_TEXT: Final = "[erased]"
GZIP_MAGIC: Final = b"\x1f\x8b"
PARQUET_MAGIC: Final = b"PAR1"
FINDINGS_COLUMNS: Final = ("place", "other")
"""Columns that identify a findings table among other Parquet objects."""

MAX_OBJECT_BYTES: Final = 1 << 28
"""Larger objects are skipped: they are weights, and reports and quarantines are far smaller."""

_REMOVED: Final = object()


@dataclass(frozen=True)
class ScrubTargets:
    """What to scrub: rows by id, by the subject's pseudonym, by the digest of their example, and by `runs` of their words.

    `new_id` gives the new id of a remaining row; `replaced` maps digests of old objects to new ones, `datasets` old containers
    to new data sets; `rows_digests` are those of the rewritten data sets.
    """

    ids: frozenset[str]
    contents: frozenset[str]
    runs: frozenset[tuple[str, ...]]
    subject: str | None = None
    new_id: Callable[[str], str] = str
    replaced: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    rows_digests: frozenset[str] = frozenset()


def word_runs(texts: Iterator[str]) -> frozenset[tuple[str, ...]]:
    """All runs of RUN_WORDS words of the texts."""
    runs: set[tuple[str, ...]] = set()
    for text in texts:
        words = normal_words(text)
        runs.update(tuple(words[at : at + RUN_WORDS]) for at in range(len(words) - RUN_WORDS + 1))
    return frozenset(runs)


def scrub_value(value: Any, targets: ScrubTargets) -> Any:
    """A JSON value without the erased rows; None when the value itself is removed."""
    scrubbed = _scrub(value, targets)
    return None if scrubbed is _REMOVED else scrubbed


def scrub_bytes(data: bytes, targets: ScrubTargets) -> bytes:
    """An object's bytes without the erased rows; unchanged without one, and when it is neither JSON nor a findings table."""
    if data.startswith(PARQUET_MAGIC):
        return _scrub_findings(data, targets)
    compressed = data.startswith(GZIP_MAGIC)
    plain = gzip.decompress(data) if compressed else data
    values = _json_values(plain)
    if values is None:
        return data
    scrubbed = [_scrub(value, targets) for value in values]
    if scrubbed == values:
        return data
    lines = [canonical_bytes(value) for value in scrubbed if value is not _REMOVED]
    text = b"".join(line + b"\n" for line in lines) if plain.endswith(b"\n") else b"\n".join(lines)
    return gzip.compress(text, compresslevel=6, mtime=0) if compressed else text


def readable_objects(store: Store) -> Iterator[str]:
    """Digests, in order, of the objects that hold JSON, JSON lines or a table and are not files of a model."""
    heads: dict[str, bytes] = {}
    models: set[str] = set()
    for path in sorted(store.objects.folder.glob("??/*")):
        digest = f"sha256:{path.parent.name}{path.name}"
        if len(digest) != 71 or path.stat().st_size > MAX_OBJECT_BYTES:
            continue
        with path.open("rb") as file:
            head = file.read(2)
        if head in (GZIP_MAGIC, PARQUET_MAGIC[:2]) or head[:1] == b"{":
            heads[digest] = head
            models |= _tree_members(path.read_bytes()) if head[:1] == b"{" else set()
    yield from (digest for digest in heads if digest not in models)


def stored_documents(store: Store) -> Iterator[dict[str, Any]]:
    """The stored objects that are one JSON object: reports and others."""
    for digest in readable_objects(store):
        data = store.objects.get(digest)
        values = _json_values(data) if data.startswith(b"{") else None
        if values is not None and len(values) == 1 and isinstance(values[0], dict):
            yield values[0]


def stored_datasets(value: Any) -> Iterator[Dataset]:
    """Every data set that a JSON value contains."""
    if isinstance(value, dict):
        if set(value) == set(Dataset.model_fields):
            yield Dataset.model_validate(value)
        for item in value.values():
            yield from stored_datasets(item)
    elif isinstance(value, list):
        for item in value:
            yield from stored_datasets(item)


def _scrub_findings(data: bytes, targets: ScrubTargets) -> bytes:
    with parquet.ParquetFile(pa.BufferReader(data)) as file:
        if not set(FINDINGS_COLUMNS) <= set(file.schema_arrow.names):
            return data
        table = file.read()
    findings = table.to_pylist()
    scrubbed = _scrub(findings, targets)
    if scrubbed == findings:
        return data
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(scrubbed, schema=table.schema), sink, compression="zstd")
    return bytes(sink.getvalue())


def _tree_members(data: bytes) -> set[str]:
    """Digests of a model's files when the bytes are its tree manifest, else nothing."""
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


def _scrub(value: Any, targets: ScrubTargets) -> Any:
    match value:
        case dict():
            return _scrub_object(value, targets)
        case list():
            items = [_scrub(item, targets) for item in value]
            return [item for item in items if item is not _REMOVED]
        case str():
            return _scrub_text(value, targets)
        case _:
            return value


def _scrub_object(value: dict[str, Any], targets: ScrubTargets) -> Any:
    if _is_erased(value, targets) or _is_erased(_as_object(value.get("place")), targets):
        return _REMOVED
    if str(value.get("container")) in targets.datasets:
        return targets.datasets[value["container"]].model_dump(mode="json")
    scrubbed: dict[str, Any] = {}
    for key, item in value.items():
        if key == "row_id" and isinstance(item, str):
            scrubbed[key] = targets.new_id(item)
        elif key == "example":
            scrubbed[key] = item
        elif key == SAMPLES_KEY and isinstance(item, list) and _trained_on_erased(value, targets):
            scrubbed[key] = [ERASED_TEXT for _ in item]
        else:
            inner = _scrub(item, targets)
            scrubbed[key] = None if inner is _REMOVED else inner
    return scrubbed


def _trained_on_erased(value: dict[str, Any], targets: ScrubTargets) -> bool:
    inputs = _as_object(_as_object(value.get("provenance")).get("inputs"))
    return inputs.get("dataset") in targets.rows_digests


def _is_erased(value: dict[str, Any], targets: ScrubTargets) -> bool:
    if value.get("row_id") in targets.ids:
        return True
    marks = (value.get("subject"), _as_object(value.get("rights")).get("subject"))
    if targets.subject is not None and targets.subject in marks:
        return True
    if "row_id" not in value or not isinstance(value.get("example"), dict):
        return False
    return Example.model_validate(value["example"]).digest() in targets.contents


def _as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _scrub_text(text: str, targets: ScrubTargets) -> str:
    if text in targets.replaced:
        return targets.replaced[text]
    words = normal_words(text)
    repeats_erased = any(tuple(words[at : at + RUN_WORDS]) in targets.runs for at in range(len(words) - RUN_WORDS + 1))
    return ERASED_TEXT if repeats_erased else text
