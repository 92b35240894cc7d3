"""Unfinished runs in the same store. A run is resumed only by a run with the same data, recipe and code."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tunesmith.artifacts import Provenance
from tunesmith.store.objects import write_atomic
from tunesmith.train.checkpoint import POINTER_FILE

PROVENANCE_FILE: Final = "made-from.json"
FIELD_LABELS: Final = {
    "inputs": "data or base",
    "settings": "settings",
    "code": "code",
    "versions": "libraries",
    "seed": "seed",
}


def record_provenance(folder: Path, provenance: Provenance) -> None:
    """Write the provenance of the run beside its checkpoints."""
    write_atomic(folder / PROVENANCE_FILE, provenance.canonical())


def describe_unfinished_runs(folder: Path, provenance: Provenance) -> Iterator[str]:
    """A line per unfinished run with the same rows or settings, with what differs. No lines when the run in `folder` resumes."""
    if (folder / POINTER_FILE).is_file():
        return
    for other in sorted(folder.parent.iterdir()):
        record, pointer = other / PROVENANCE_FILE, other / POINTER_FILE
        if other == folder or not record.is_file() or not pointer.is_file():
            continue
        mine, theirs = provenance.model_dump(), Provenance.from_bytes(record.read_bytes()).model_dump()
        if mine["inputs"] == theirs["inputs"] or mine["settings"] == theirs["settings"]:
            different = ", ".join(label for name, label in FIELD_LABELS.items() if mine[name] != theirs[name])
            yield f"not resumed: the unfinished run at {pointer.read_text()} differs in {different}; it is kept in {other}"
