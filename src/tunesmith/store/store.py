"""Store: objects, ledger and work folders behind one value."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tunesmith.artifacts import Artifact, canonical_bytes
from tunesmith.errors import IntegrityBroken, Misuse
from tunesmith.store.ledger import Ledger
from tunesmith.store.lineage import Lookups
from tunesmith.store.lock import RunLock
from tunesmith.store.objects import FolderObjects, disk_errors, write_atomic
from tunesmith.store.read_only import LEDGER_FILE

A = TypeVar("A", bound=Artifact)


@dataclass(frozen=True)
class Store:
    """`folder` holds objects/, work/ (unfinished stages, by content key) and, unless a URL was given, ledger.db."""

    folder: Path
    objects: FolderObjects
    ledger: Ledger

    @property
    def lookups(self) -> Lookups:
        """What the ledger has of lineage; with `folder` and `objects` all that looking needs (see `readable`)."""
        return self.ledger.lookups

    def put(self, artifact: Artifact) -> str:
        """Keep an artifact's canonical bytes; the digest of the stored object."""
        return self.objects.put(artifact.canonical())

    def get(self, kind: type[A], digest: str) -> A:
        """Read an artifact back. Raises IntegrityBroken when missing or altered."""
        return kind.from_bytes(self.objects.get(digest))

    def work(self, content_key: str) -> Path:
        """The folder where a stage keeps unfinished work, by its content key."""
        folder = self._work_folder(content_key)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def end_work(self, content_key: str) -> None:
        """Delete what a stage kept of unfinished work, if it did, once its report is in the ledger."""
        folder = self._work_folder(content_key)
        if folder.is_dir():
            with disk_errors(folder):
                shutil.rmtree(folder)

    def _work_folder(self, content_key: str) -> Path:
        return self.folder / "work" / content_key.removeprefix("sha256:")[:24]

    def put_tree(self, folder: Path) -> str:
        """Keep every file below a folder; the digest of its manifest {path: digest}, sorted by path."""
        manifest: dict[str, str] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_symlink():
                raise Misuse(
                    "a model folder holds a symbolic link", where=str(path), hint="replace it by the file itself"
                )
            if path.is_file():
                manifest[path.relative_to(folder).as_posix()] = self.objects.put_file(path)
        return self.objects.put(canonical_bytes(manifest))

    def tree(self, digest: str) -> dict[str, str]:
        """The manifest {path: digest} of a tree."""
        return _parse_manifest(self.objects.get(digest), digest)

    def checkout(self, digest: str) -> Path:
        """A folder with the files of a tree, made once per digest and verified file by file as it is made."""
        target = self.folder / "trees" / digest.removeprefix("sha256:")
        manifest = self.tree(digest)
        if not (target / ".complete").exists():
            for name, file_digest in manifest.items():
                write_atomic(target / name, self.objects.get(file_digest))
            write_atomic(target / ".complete", b"")
        return target

    def lock(self, run_id: str) -> RunLock:
        """Hold the store for one run."""
        return RunLock(self.folder, run_id)


def _parse_manifest(data: bytes, digest: str) -> dict[str, str]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise IntegrityBroken("not a tree manifest", where=digest, hint="give the digest of a model's tree")
    return {str(name): str(file) for name, file in value.items()}


def open_store(folder: Path, *, database: str | None = None) -> Store:
    """Open or make a store. `database` is an SQLAlchemy URL; left out, a SQLite file in the folder is used."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    url = database or f"sqlite:///{folder / LEDGER_FILE}"
    return Store(folder=folder, objects=FolderObjects(folder / "objects"), ledger=Ledger(url))
