"""The store: objects, ledger and work folders in one value."""

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
    """A store in a folder: objects/, work/ (unfinished stages, by content key) and, without a database URL, ledger.db."""

    folder: Path
    objects: FolderObjects
    ledger: Ledger

    @property
    def lookups(self) -> Lookups:
        """Lineage look-ups; with `folder` and `objects` this makes a Store a ReadableStore (see `read_only`)."""
        return self.ledger.lookups

    def put(self, artifact: Artifact) -> str:
        """Store an artifact's canonical bytes. Returns the digest of the stored object."""
        return self.objects.put(artifact.canonical())

    def get(self, kind: type[A], digest: str) -> A:
        """Load an artifact. Raises IntegrityBroken when it is missing or altered."""
        return kind.from_bytes(self.objects.get(digest))

    def work(self, content_key: str) -> Path:
        """The folder for unfinished work of the stage with this content key; created when missing."""
        folder = self._work_folder(content_key)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def end_work(self, content_key: str) -> None:
        """Delete the work folder of a stage, if it has one; called once its report is in the ledger."""
        folder = self._work_folder(content_key)
        if folder.is_dir():
            with disk_errors(folder):
                shutil.rmtree(folder)

    def _work_folder(self, content_key: str) -> Path:
        return self.folder / "work" / content_key.removeprefix("sha256:")[:24]

    def put_tree(self, folder: Path) -> str:
        """Store every file below a folder. Returns the digest of the tree's manifest {path: digest}, sorted by path."""
        manifest: dict[str, str] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_symlink():
                raise Misuse(
                    "a model folder has a symbolic link",
                    where=str(path),
                    hint="replace the link by the file that it points to",
                )
            if path.is_file():
                manifest[path.relative_to(folder).as_posix()] = self.objects.put_file(path)
        return self.objects.put(canonical_bytes(manifest))

    def tree(self, digest: str) -> dict[str, str]:
        """The manifest {path: digest} of a tree."""
        return _parse_manifest(self.objects.get(digest), digest)

    def checkout(self, digest: str) -> Path:
        """A folder with the files of a tree. It is created once per digest; every file is verified when it is written."""
        target = self.folder / "trees" / digest.removeprefix("sha256:")
        manifest = self.tree(digest)
        if not (target / ".complete").exists():
            for name, file_digest in manifest.items():
                write_atomic(target / name, self.objects.get(file_digest))
            write_atomic(target / ".complete", b"")
        return target

    def lock(self, run_id: str) -> RunLock:
        """The lock that a run holds while it uses the store."""
        return RunLock(self.folder, run_id)


def _parse_manifest(data: bytes, digest: str) -> dict[str, str]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise IntegrityBroken(
            "the object is not a tree manifest", where=digest, hint="use the digest of a model's tree"
        )
    return {str(name): str(file) for name, file in value.items()}


def open_store(folder: Path, *, database: str | None = None) -> Store:
    """Open the store in a folder, or create it. `database` is an SQLAlchemy URL; the default is a SQLite file in the folder."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    url = database or f"sqlite:///{folder / LEDGER_FILE}"
    return Store(folder=folder, objects=FolderObjects(folder / "objects"), ledger=Ledger(url))
