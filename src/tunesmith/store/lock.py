"""Allows one run at a time per store. The lock is an flock, so the operating system releases it when a run is killed."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO

from tunesmith.errors import StoreLocked
from tunesmith.store.objects import disk_errors


class RunLock:
    """Context manager that holds the store's lock. Raises StoreLocked, naming the run that holds it."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self._path = folder / "run.lock"
        self._run_id = run_id
        self._file: IO[str] | None = None

    def __enter__(self) -> "RunLock":
        with disk_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another run"
            file.close()
            raise StoreLocked(
                f"the store is in use by {holder}",
                where=str(self._path.parent),
                hint="wait until that run ends, or give this run its own folder with --store",
            ) from error
        self._file = file
        with disk_errors(self._path):
            file.truncate(0)
            file.write(f"run {self._run_id} (process {os.getpid()})")
            file.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None
