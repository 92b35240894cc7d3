"""Stored rows: a Parquet container per data set, which is identified by the digest of its examples.

Rows are written and read in batches, so a data set may be larger than memory.
"""

import gc
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from json.encoder import encode_basestring as json_string
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self, TypeVar

import numpy
import pyarrow as pa
from pyarrow import compute, parquet

from tunesmith.artifacts import Dataset, Example, Message, Rights, Row, Text
from tunesmith.errors import IntegrityBroken
from tunesmith.store import Store
from tunesmith.store.objects import disk_errors

BATCH_ROWS: Final = 8192
"""Rows in one batch that is held in memory, written or read."""
ROW_SCHEMA: Final = pa.schema(
    [
        ("row_id", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("example", pa.string()),
        ("rights", pa.string()),
    ]
)
"""Columns of a container: a row's id and place, its example as canonical JSON, its rights as JSON."""


class StorableRow(Protocol):
    """The fields of a row that a container stores beside its example."""

    @property
    def row_id(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def rights(self) -> Rights: ...


RowT = TypeVar("RowT", bound=StorableRow)


class RowWriter:
    """Writes rows to a Parquet file batch by batch and computes the digest of their examples."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._digest = hashlib.sha256()
        self._licenses: dict[str, str | None] = {}
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = parquet.ParquetWriter(path, ROW_SCHEMA, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with disk_errors(self.path):
            self._writer.close()

    def write(self, batch: pa.Table) -> None:
        """Append rows that have the columns of ROW_SCHEMA."""
        if not batch.num_rows:
            return
        for chunk in compute.binary_join_element_wise(batch.column("example"), "", "\n").chunks:
            self._digest.update(_text_bytes(chunk))
        for rights in batch.column("rights").unique().to_pylist():
            if rights not in self._licenses:
                self._licenses[rights] = Rights.from_bytes(rights.encode()).license
        self.rows += batch.num_rows
        with disk_errors(self.path):
            self._writer.write_table(batch)

    def finish(self, name: str, store: Store) -> Dataset:
        """Store the file and return its data set. Call it after the writer is closed."""
        return Dataset(
            name=name,
            rows=self.rows,
            rows_digest=f"sha256:{self._digest.hexdigest()}",
            container=store.objects.put_file(self.path),
            licenses=tuple(sorted({license for license in self._licenses.values() if license})),
        )


def store_dataset(name: str, rows: Iterable[Row], store: Store) -> Dataset:
    """Store rows in order. The data set lists their distinct licences, sorted."""
    store.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.folder, prefix=".tmp-rows-") as folder:
        encoder = RowEncoder()
        with RowWriter(Path(folder) / "rows.parquet") as writer:
            for batch in batch_rows(rows):
                writer.write(encoder.table(batch, [canonical_example(row.example) for row in batch]))
        return writer.finish(name, store)


def load_rows(dataset: Dataset, store: Store) -> list[Row]:
    """The rows of a data set in order. Raises IntegrityBroken when they do not match its digest."""
    return list(iterate_rows(dataset, store))


def iterate_rows(dataset: Dataset, store: Store) -> Iterator[Row]:
    """Yield the rows of a data set in order. Raises IntegrityBroken after the last row when they do not match its digest."""
    digest, count = hashlib.sha256(), 0
    for batch in read_batches(store.objects.verified(dataset.container)):
        columns = (batch.column(name).to_pylist() for name in ROW_SCHEMA.names)
        for row_id, file, line, example, rights in zip(*columns, strict=True):
            digest.update(example.encode() + b"\n")
            count += 1
            yield Row(
                row_id=row_id,
                file=file,
                line=line,
                example=Example.from_bytes(example),
                rights=Rights.from_bytes(rights),
            )
    if f"sha256:{digest.hexdigest()}" != dataset.rows_digest or count != dataset.rows:
        raise IntegrityBroken(f"the rows of data set {dataset.name!r} do not match its digest", where=dataset.container)


def read_batches(path: Path) -> Iterator[pa.Table]:
    """Yield a container's rows in batches with the columns of ROW_SCHEMA. Raises IntegrityBroken for any other file."""
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                yield pa.table(batch).select(ROW_SCHEMA.names)
    except (pa.ArrowInvalid, KeyError) as error:
        raise IntegrityBroken(
            "not a container of rows", where=str(path), hint="it may come from an older version; run the audit again"
        ) from error


def _text_bytes(texts: pa.StringArray) -> memoryview:
    """The UTF-8 bytes of all texts of an array, concatenated, without a copy."""
    offsets = numpy.frombuffer(texts.buffers()[1], dtype=numpy.int32)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(texts.buffers()[2])[int(offsets[0]) : int(offsets[-1])]


def batch_rows(rows: Iterable[RowT]) -> Iterator[list[RowT]]:
    """Yield rows in lists of at most BATCH_ROWS. A new file starts a new list, unless the list is less than a quarter full.

    So the lists of one file stay the same, and their cached signals valid, when another file grows.
    """
    batch: list[RowT] = []
    for row in rows:
        if len(batch) >= BATCH_ROWS or (len(batch) >= BATCH_ROWS // 4 and row.file != batch[-1].file):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


class RowEncoder:
    """Encodes rows as the columns of a container; each Rights object is serialized once."""

    def __init__(self) -> None:
        self._rights: dict[int, tuple[Rights, str]] = {}

    def table(self, rows: Sequence[StorableRow], examples: Sequence[str]) -> pa.Table:
        """A table of rows with the columns of ROW_SCHEMA; `examples` are their examples as canonical JSON."""
        rights = [row.rights for row in rows]
        shared = all(value is rights[0] for value in rights)
        columns: list[Sequence[object]] = [
            [row.row_id for row in rows],
            [row.file for row in rows],
            [row.line for row in rows],
            examples,
            [self._json(rights[0])] * len(rows) if shared and rows else [self._json(value) for value in rights],
        ]
        return pa.table(
            [pa.array(values, type=kind) for values, kind in zip(columns, ROW_SCHEMA.types, strict=True)], ROW_SCHEMA
        )

    def _json(self, rights: Rights) -> str:
        """Cached by identity, since the rows of a source share one object; the object is stored so that its id is not reused."""
        cached = self._rights.get(id(rights))
        if cached is None:
            cached = self._rights[id(rights)] = (rights, rights.model_dump_json())
        return cached[1]


def canonical_example(example: Example) -> str:
    """`example.canonical()` as text, built directly where the example holds plain text only.

    RFC 8785 writes strings as Python's JSON encoder does without ASCII escapes; a test compares both.
    """
    fields = example.__dict__
    messages = [_canonical_message(message) for message in fields["messages"]]
    if _other_example_fields(fields) != _NO_EXAMPLE_FIELDS or None in messages:
        return example.canonical().decode()
    labels = "null" if fields["labels"] is None else f"[{','.join(map(json_string, fields['labels']))}]"
    text = "null" if fields["text"] is None else json_string(fields["text"])
    return f'{{"labels":{labels},"messages":[{",".join(filter(None, messages))}],"text":{text}}}'


def _canonical_message(message: Message) -> str | None:
    """The canonical JSON of a message of plain text; None for any other message."""
    fields = message.__dict__
    if _other_message_fields(fields) != _NO_MESSAGE_FIELDS:
        return None
    parts = ""
    for part in fields["content"]:
        if type(part) is not Text:
            return None
        parts = f'{parts}{"," if parts else ""}{{"text":{json_string(part.text)},"type":"text"}}'
    return f'{{"content":[{parts}],"role":"{fields["role"]}"}}'


_other_example_fields: Final = itemgetter(
    *(name for name in Example.model_fields if name not in ("messages", "text", "labels"))
)
_other_message_fields: Final = itemgetter(*(name for name in Message.model_fields if name not in ("role", "content")))
"""Read all fields beyond plain text, future ones too: an example that sets one is serialized by `example.canonical()`."""
_NO_EXAMPLE_FIELDS: Final = (None,) * (len(Example.model_fields) - 3)
_NO_MESSAGE_FIELDS: Final = (None,) * (len(Message.model_fields) - 2)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Disable the cyclic garbage collector. Rows have no reference cycles, and collection took a third of the reading time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
