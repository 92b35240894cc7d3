"""Runs of the same store that were stopped half-way. None is gone on with unless data, recipe and code are the same."""

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
    """Write beside the checkpoints what the run is made from."""
    write_atomic(folder / PROVENANCE_FILE, provenance.canonical())


def describe_unfinished_runs(folder: Path, provenance: Provenance) -> Iterator[str]:
    """When the run in `folder` begins: a line for each one that stopped and has the same rows or settings, with what differs."""
    if (folder / POINTER_FILE).is_file():
        return
    for other in sorted(folder.parent.iterdir()):
        made, pointer = other / PROVENANCE_FILE, other / POINTER_FILE
        if other == folder or not made.is_file() or not pointer.is_file():
            continue
        mine, theirs = provenance.model_dump(), Provenance.from_bytes(made.read_bytes()).model_dump()
        if mine["inputs"] == theirs["inputs"] or mine["settings"] == theirs["settings"]:
            different = ", ".join(said for name, said in FIELD_LABELS.items() if mine[name] != theirs[name])
            yield f"not resumed: the run that stopped at {pointer.read_text()} had other {different}; it is kept in {other}"
