"""Lineage: who saw a row, with what certainty; and the record of an erasure."""

from typing import Literal

from tunesmith.artifacts.base import Artifact

Certainty = Literal["certain", "possible"]
"""certain: a record says that the rows were trained on; possible: they may have been, the reason is given."""


class TokenSpan(Artifact):
    """Tokens [first, first + tokens) of a row, `supervised` of them trained, `times` times from step to step."""

    first: int
    tokens: int
    supervised: int
    times: int
    first_step: int
    last_step: int


class TextSpan(Artifact):
    """Characters [start, end) of a message that have `words` words in a row in common with the text asked for."""

    message: int
    start: int
    end: int
    words: int


class TracedRow(Artifact):
    """A row that the question is about, with the digests of the stored data sets that have it (or had it, when erased)."""

    row_id: str
    file: str
    line: int
    datasets: tuple[str, ...]
    spans: tuple[TextSpan, ...] = ()


class ReleaseName(Artifact):
    name: str
    version: int


class Sighting(Artifact):
    """A model that saw rows: `rows` of them by its own training, or by that of the model `through`.

    `because` says how it is known. `spans` are those of the first row, when there is a record.
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
    """The answer: rows found (`found` in all, the first of them listed), and every model and release that saw them.

    `spared` are trainings on these data sets whose record shows that none of the rows was trained on (e.g. held back).
    """

    question: str
    found: int
    rows: tuple[TracedRow, ...]
    sightings: tuple[Sighting, ...]
    spared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Retraining(Artifact):
    """What making a training anew would take, as it was measured the first time; the stages after it must run again too."""

    training: str
    recipe: str | None
    model: str
    certainty: Certainty
    steps: int
    tokens: int
    seconds: float | None
    stages: tuple[str, ...]


class ReplacedDataset(Artifact):
    """A stored data set and the one without the rows that takes its place; None when no row is left or it was gone before."""

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
    """A tombstone: the digest of an object that is gone, and what it was."""

    object: str
    kind: str


class ErasureRecord(Artifact):
    """What was erased, in numbers and digests. It holds no personal data: no row, no id, no mark, no place in a file."""

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
    """A row to erase as its owner finds it in the source file. `like` is the row it is near, with the similarity."""

    row_id: str
    file: str
    line: int
    like: str | None = None
    similarity: float | None = None


class ErasureResult(Artifact):
    """What an erasure came to, for whoever asked: the record, and the places in source files, which are kept nowhere.

    `near` are near-duplicates that were left where they are. `envelope` is the digest of the signed record in the store,
    and `log_index` its place in the log; both None in a dry run.
    """

    record: ErasureRecord
    rows: tuple[ErasedRow, ...]
    near: tuple[ErasedRow, ...]
    dry_run: bool
    envelope: str | None = None
    log_index: int | None = None
    notes: tuple[str, ...] = ()
