"""Lineage: the models that were trained on a row, with what certainty; and the record of an erasure."""

from typing import Literal

from tunesmith.artifacts.base import Artifact

Certainty = Literal["certain", "possible"]
"""certain: a record shows that the rows were trained on; possible: they may have been, and the reason is given."""


class TokenSpan(Artifact):
    """Tokens [first, first + tokens) of a row, of which `supervised` were trained, `times` times between the two steps."""

    first: int
    tokens: int
    supervised: int
    times: int
    first_step: int
    last_step: int


class TextSpan(Artifact):
    """Characters [start, end) of a message that share `words` consecutive words with the query text."""

    message: int
    start: int
    end: int
    words: int


class TracedRow(Artifact):
    """A row that matches the query, with the digests of the stored data sets that contain it (or did, before an erasure)."""

    row_id: str
    file: str
    line: int
    datasets: tuple[str, ...]
    spans: tuple[TextSpan, ...] = ()


class ReleaseName(Artifact):
    name: str
    version: int


class Sighting(Artifact):
    """A model that was trained on `rows` of the rows, in its own training or in that of the model `through`.

    `because` is the evidence. `spans` are those of the first row, when there is a record.
    """

    model: str
    certainty: Certainty
    because: str
    rows: int
    training: str | None = None
    run: str | None = None
    recipe: str | None = None
    started: str | None = None
    through: str | None = None
    spans: tuple[TokenSpan, ...] = ()
    releases: tuple[ReleaseName, ...] = ()


class Trace(Artifact):
    """The result of a trace: matching rows (`found` in all, the first ones listed), and all models and releases trained on them.

    `spared` are trainings on these data sets whose record shows that none of the rows was trained on (e.g. validation rows).
    """

    question: str
    found: int
    rows: tuple[TracedRow, ...]
    sightings: tuple[Sighting, ...]
    spared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Retraining(Artifact):
    """Cost of repeating a training, as it was measured the first time; later stages must run again too."""

    training: str
    recipe: str | None
    model: str
    certainty: Certainty
    steps: int
    tokens: int
    seconds: float | None
    stages: tuple[str, ...]


class ReplacedDataset(Artifact):
    """A stored data set and its replacement without the rows; None when no row is left or the data set was already gone."""

    name: str
    old: str
    old_rows: int
    new: str | None
    new_rows: int


class AffectedRelease(Artifact):
    name: str
    version: int
    model: str
    certainty: Certainty


class ErasedObject(Artifact):
    """A tombstone: the digest and kind of a deleted object."""

    object: str
    kind: str


class ErasureRecord(Artifact):
    """What was erased, in numbers and digests. It contains no personal data: no row, id, subject, or position in a file."""

    erasure: str
    date: str
    reason: str
    rows: int
    near_duplicates: int
    threshold: float | None
    datasets: tuple[ReplacedDataset, ...]
    tombstones: tuple[ErasedObject, ...]
    reports_rewritten: int
    salts_replaced: tuple[str, ...]
    models: tuple[str, ...]
    releases: tuple[AffectedRelease, ...]
    retraining: tuple[Retraining, ...]
    source_lines: int


class ErasedRow(Artifact):
    """A row to erase, with its position in the source file. `like` is the row it is a near-duplicate of, with the similarity."""

    row_id: str
    file: str
    line: int
    like: str | None = None
    similarity: float | None = None


class ErasureResult(Artifact):
    """The result of an erasure: the record, and the positions in source files, which are not stored.

    `near` are near-duplicates that were not erased. `envelope` is the digest of the signed record in the store, and `log_index`
    its index in the log; both are None in a dry run.
    """

    record: ErasureRecord
    rows: tuple[ErasedRow, ...]
    near: tuple[ErasedRow, ...]
    dry_run: bool
    envelope: str | None = None
    log_index: int | None = None
    notes: tuple[str, ...] = ()
