"""Rows in the store: a data set is known by its rows' digest; the Parquet container only carries them.

Rows come and go in batches, so that a data set may be larger than memory.
"""

import gc
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from json.encoder import encode_basestring as quoted
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
"""Rows that are held, written and read at once."""
ROW_SCHEMA: Final = pa.schema(
    [
        ("row_id", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("example", pa.string()),
        ("rights", pa.string()),
    ]
)
"""Columns of a container: identity and place of a row, the canonical bytes of its example, its rights as JSON."""


class StorableRow(Protocol):
    """What a container takes of a row beside its example."""

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
    """Writes rows to a container, batch by batch, and works out the digest of their examples on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._total = hashlib.sha256()
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
        """Add rows in the columns of SCHEMA."""
        if not batch.num_rows:
            return
        for chunk in compute.binary_join_element_wise(batch.column("example"), "", "\n").chunks:
            self._total.update(_text_bytes(chunk))
        for rights in batch.column("rights").unique().to_pylist():
            if rights not in self._licenses:
                self._licenses[rights] = Rights.from_bytes(rights.encode()).license
        self.rows += batch.num_rows
        with disk_errors(self.path):
            self._writer.write_table(batch)

    def keep(self, name: str, store: Store) -> Dataset:
        """The data set of all rows written; to be called after the writer is closed."""
        return Dataset(
            name=name,
            rows=self.rows,
            rows_digest=f"sha256:{self._total.hexdigest()}",
            container=store.objects.put_file(self.path),
            licenses=tuple(sorted({license for license in self._licenses.values() if license})),
        )


def store_dataset(name: str, rows: Iterable[Row], store: Store) -> Dataset:
    """Store rows in order; licences are listed once each, sorted."""
    store.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.folder, prefix=".tmp-rows-") as folder:
        encode = RowEncoder()
        with RowWriter(Path(folder) / "rows.parquet") as writer:
            for batch in batch_rows(rows):
                writer.write(encode.table(batch, [canonical_example(row.example) for row in batch]))
        return writer.keep(name, store)


def load_rows(dataset: Dataset, store: Store) -> list[Row]:
    """The rows of a data set, in order. Raises IntegrityBroken when they are not what its digest says."""
    return list(iterate_rows(dataset, store))


def iterate_rows(dataset: Dataset, store: Store) -> Iterator[Row]:
    """The rows of a data set one after the other; the digest is known to be right only when the last one is out."""
    total, count = hashlib.sha256(), 0
    for batch in read_batches(store.objects.verified(dataset.container)):
        columns = (batch.column(name).to_pylist() for name in ROW_SCHEMA.names)
        for row_id, file, line, example, rights in zip(*columns, strict=True):
            total.update(example.encode() + b"\n")
            count += 1
            yield Row(
                row_id=row_id,
                file=file,
                line=line,
                example=Example.from_bytes(example),
                rights=Rights.from_bytes(rights),
            )
    if f"sha256:{total.hexdigest()}" != dataset.rows_digest or count != dataset.rows:
        raise IntegrityBroken(f"the rows of {dataset.name!r} are not those of its digest", where=dataset.container)


def read_batches(path: Path) -> Iterator[pa.Table]:
    """A container's rows in the columns of SCHEMA, a batch at a time. Raises IntegrityBroken when it is none."""
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                yield pa.table(batch).select(ROW_SCHEMA.names)
    except (pa.ArrowInvalid, KeyError) as error:
        raise IntegrityBroken(
            "this is no container of rows", where=str(path), hint="it may be an older version's; run the audit again"
        ) from error


def _text_bytes(texts: pa.StringArray) -> memoryview:
    """The bytes of all texts of an array, one after the other."""
    first = numpy.frombuffer(texts.buffers()[1], dtype=numpy.int32)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(texts.buffers()[2])[int(first[0]) : int(first[-1])]


def batch_rows(rows: Iterable[RowT]) -> Iterator[list[RowT]]:
    """Rows in lists of at most BATCH; a file begins a new one, unless the list is still short.

    So the lists of a file stay the same when another file grows.
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
    """Rows in the columns of a container; equal rights are written out once."""

    def __init__(self) -> None:
        self._rights: dict[int, tuple[Rights, str]] = {}

    def table(self, rows: Sequence[StorableRow], examples: Sequence[str]) -> pa.Table:
        """The rows in the columns of SCHEMA; `examples` are their canonical bytes."""
        rights = [row.rights for row in rows]
        same = all(one is rights[0] for one in rights)
        columns: list[Sequence[object]] = [
            [row.row_id for row in rows],
            [row.file for row in rows],
            [row.line for row in rows],
            examples,
            [self._written(one) for one in rights[:1]] * len(rows) if same else [self._written(one) for one in rights],
        ]
        return pa.table(
            [pa.array(values, type=kind) for values, kind in zip(columns, ROW_SCHEMA.types, strict=True)], ROW_SCHEMA
        )

    def _written(self, rights: Rights) -> str:
        """Known by identity, since the rows of a source share one value; the value is held, so that its id stays taken."""
        known = self._rights.get(id(rights))
        if known is None:
            known = self._rights[id(rights)] = (rights, rights.model_dump_json())
        return known[1]


def canonical_example(example: Example) -> str:
    """`example.canonical()` as text, by a short way where the example holds nothing but plain text.

    RFC 8785 writes strings as Python's JSON encoder does without ASCII escapes; a test holds the two against each other.
    """
    fields = example.__dict__
    turns = [_canonical_message(turn) for turn in fields["messages"]]
    if _other_example_fields(fields) != _NO_EXAMPLE_FIELDS or None in turns:
        return example.canonical().decode()
    labels = "null" if fields["labels"] is None else f"[{','.join(map(quoted, fields['labels']))}]"
    text = "null" if fields["text"] is None else quoted(fields["text"])
    return f'{{"labels":{labels},"messages":[{",".join(filter(None, turns))}],"text":{text}}}'


def _canonical_message(turn: Message) -> str | None:
    """A message of plain text in canonical bytes, None when it is another."""
    fields = turn.__dict__
    if _other_message_fields(fields) != _NO_MESSAGE_FIELDS:
        return None
    parts = ""
    for part in fields["content"]:
        if type(part) is not Text:
            return None
        parts = f'{parts}{"," if parts else ""}{{"text":{quoted(part.text)},"type":"text"}}'
    return f'{{"content":[{parts}],"role":"{fields["role"]}"}}'


_other_example_fields: Final = itemgetter(
    *(name for name in Example.model_fields if name not in ("messages", "text", "labels"))
)
_other_message_fields: Final = itemgetter(*(name for name in Message.model_fields if name not in ("role", "content")))
"""Fields beyond plain text, whatever they come to be: an example that uses one takes the long way."""
_NO_EXAMPLE_FIELDS: Final = (None,) * (len(Example.model_fields) - 3)
_NO_MESSAGE_FIELDS: Final = (None,) * (len(Message.model_fields) - 2)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """While rows are read, nothing looks for reference cycles: rows have none, and the search took a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
