"""Remote files: fetched once through fsspec into a folder of the store, where each lies under its digest."""

import hashlib
import importlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import fsspec

from tunesmith import process
from tunesmith.data.folders import row_files
from tunesmith.errors import DataError, MachineFailure
from tunesmith.store.objects import disk_errors, write_atomic


@dataclass(frozen=True)
class Protocol:
    """How one kind of URL is read: the module that fsspec needs, the extra that brings it, what else its errors are called."""

    module: str = ""
    extra: str = ""
    errors: tuple[str, ...] = ()
    network: bool = True


AMAZON: Final = Protocol("s3fs", "s3", ("botocore.exceptions:BotoCoreError", "botocore.exceptions:ClientError"))
GOOGLE: Final = Protocol("gcsfs", "gs", ("gcsfs.retry:HttpError", "google.auth.exceptions:GoogleAuthError"))
AZURE: Final = Protocol("adlfs", "azure", ("azure.core.exceptions:AzureError",))
WEB: Final = Protocol("aiohttp", "http", ("aiohttp:ClientError",))
HUB: Final = Protocol("huggingface_hub", "", ("httpx:HTTPError", "httpx2:HTTPError"))
PROTOCOLS: Final[Mapping[str, Protocol]] = {
    "s3": AMAZON,
    "gs": GOOGLE,
    "gcs": GOOGLE,
    "az": AZURE,
    "abfs": AZURE,
    "http": WEB,
    "https": WEB,
    "hub": HUB,
    "memory": Protocol(network=False),
}
"""Archives and chains (`zip://`, `simplecache::`) are not among them: they would open what is refused elsewhere."""

URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
HUB_ID: Final = re.compile(r"datasets/([\w.-]+/[\w.-]+)@([0-9a-f]{40})(?:/(.+))?")
CHUNK: Final = 1 << 20
MARKS: Final = ("size", "ETag", "etag", "Content-MD5", "Last-Modified", "LastModified", "mtime", "created", "blob_id")
"""What file systems say of a file that is another value when the file is another one."""


@dataclass(frozen=True)
class Fetched:
    """A remote file on this machine: where, what messages call it (no password, no query), its digest."""

    path: Path
    name: str
    digest: str


def is_remote(pattern: str) -> bool:
    """Whether a source's path is a URL; `file://` is this machine."""
    return "://" in pattern and not pattern.startswith("file://")


def fetch(url: str, *, cache: Path, network: bool) -> list[Fetched]:
    """The files of a URL or of a pattern with `*`, in name order. A file that has not changed since is not fetched again.

    `hub://datasets/owner/name@revision` takes a commit of 40 hex digits; what it holds cannot change, so once fetched it needs no
    network. Raises DataError on a URL that is not known or not allowed and when nothing is there, MachineFailure when the other
    side does not answer.
    """
    shown = _shown(url)
    scheme, rest = _split(url, shown)
    known = PROTOCOLS[scheme]
    if known.network and not network:
        hint = "write `network: true` at the source to let this run fetch it"
        raise DataError("the source needs the network, and the recipe does not allow it", where=shown, hint=hint)
    if scheme == "hub":
        return _from_hub(rest, shown, cache)
    with _answering(known, shown):
        system = _system(scheme, known, shown)
        paths = [url] if known is WEB else _paths(system, rest, shown)
        return [_one(system, path, _name(scheme, path), cache) for path in paths]


def _paths(system: Any, path: str, shown: str) -> list[str]:
    """What a path names: the files that match a pattern, the rows of a folder, or itself."""
    if "*" in path:
        found = sorted(str(one) for one in system.glob(path) if system.isfile(one))
    elif system.isdir(path):
        base = str(system.info(path)["name"]).rstrip("/")
        inside = [str(one).removeprefix(f"{base}/") for one in system.find(path)]
        found = [f"{base}/{one}" for one in row_files(inside, shown.rstrip("/"))]
    else:
        return [path]
    if not found:
        raise DataError("no file matches", where=shown)
    return found


def _shown(url: str) -> str:
    """The URL without user, password, query and fragment: none of them belongs into a report."""
    scheme, _, rest = url.partition("://")
    place, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{place.rpartition('@')[2] if scheme != 'hub' else place}{slash}{path}"


def _name(scheme: str, path: str) -> str:
    bare = path.partition("://")[2] if "://" in path else path.lstrip("/")
    return _shown(f"{scheme}://{bare}")


def _split(url: str, shown: str) -> tuple[str, str]:
    match = URL.fullmatch(url)
    scheme = match[1].lower() if match else ""
    if match is None or scheme not in PROTOCOLS:
        hint = f"known: {', '.join(f'{name}://' for name in PROTOCOLS)}, file://"
        raise DataError(f"{scheme or url.partition('://')[0]}:// is not read", where=shown, hint=hint)
    return scheme, match[2]


def _system(scheme: str, known: Protocol, shown: str) -> Any:
    """The file system of a protocol. Raises DataError, naming the extra, when its driver is not installed."""
    try:
        if known.module:
            importlib.import_module(known.module)
        return fsspec.filesystem("hf" if scheme == "hub" else scheme)
    except ImportError as error:
        what = f"{scheme}:// needs the package {known.module}"
        raise DataError(what, where=shown, hint=f"pip install 'tunesmith[{known.extra}]'") from error


@contextmanager
def _answering(known: Protocol, shown: str) -> Iterator[None]:
    """Turn what a driver raises into an error of ours, with the words of the driver."""
    try:
        yield
    except FileNotFoundError as error:
        cause = error.__cause__
        if isinstance(cause, _errors(known)) and not isinstance(cause, FileNotFoundError):
            # fsspec says this of a web server that it could not even reach.
            raise _unfetched(cause, shown) from error
        raise DataError("no such file", where=shown) from error
    except PermissionError as error:
        raise _forbidden(shown) from error
    except _errors(known) as error:
        raise _unfetched(error, shown) from error


def _forbidden(shown: str) -> DataError:
    hint = "the driver reads the usual environment variables and files of its service"
    return DataError("the other side refuses access", where=shown, hint=hint)


def _unfetched(error: BaseException, shown: str) -> DataError | MachineFailure:
    status = getattr(error, "status", getattr(getattr(error, "response", None), "status_code", None))
    if status in (401, 403):
        return _forbidden(shown)
    if status in (404, 410):
        return DataError("no such file", where=shown)
    reason = (str(error).strip().splitlines() or [""])[0]
    reason = re.sub(r"\?[^\s'\"]+", "", re.sub(r"//[^/@\s]+@", "//", reason))
    return MachineFailure(f"the file cannot be fetched: {type(error).__name__}: {reason[:200]}", where=shown)


def _errors(known: Protocol) -> tuple[type[Exception], ...]:
    """OSError and the driver's own error classes, looked up only when something was raised."""
    found: list[type[Exception]] = [OSError]
    for place in known.errors:
        module, _, name = place.partition(":")
        try:
            found.append(getattr(importlib.import_module(module), name))
        except ImportError:
            continue
    return tuple(found)


def _one(system: Any, path: str, name: str, cache: Path) -> Fetched:
    """A file as it is now: from the cache when its size, tag or time say that it is the same, else fetched and hashed."""
    state = system.info(path)
    marks = {key: str(state[key]) for key in MARKS if state.get(key) is not None}
    fixed = len(marks) > ("size" in marks)
    key = hashlib.sha256(json.dumps([name, path, marks], sort_keys=True).encode()).hexdigest()
    note = cache / "known" / key
    digest = note.read_text(encoding="utf-8") if fixed and note.is_file() else ""
    if not digest or not _place(cache, digest).is_file():
        digest = _download(system, path, cache)
        write_atomic(note, digest.encode())
    return Fetched(_place(cache, digest), name, digest)


def _place(cache: Path, digest: str) -> Path:
    return cache / digest.removeprefix("sha256:")


def _write(chunk: bytes, target: IO[bytes], cache: Path) -> None:
    with disk_errors(cache):
        target.write(chunk)


def _download(system: Any, path: str, cache: Path) -> str:
    """Copy a remote file under the name of its digest, which is computed on the way."""
    with disk_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=cache, prefix=".tmp-")
    total = hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as target, system.open(path, "rb") as source:
            while chunk := source.read(CHUNK):
                total.update(chunk)
                _write(chunk, target, cache)
        digest = f"sha256:{total.hexdigest()}"
        os.replace(temporary, _place(cache, digest))
    finally:
        Path(temporary).unlink(missing_ok=True)
    return digest


def _from_hub(rest: str, shown: str, cache: Path) -> list[Fetched]:
    """The data files of a data set on the Hub at one commit, and the list of them kept, since a commit does not change."""
    match = HUB_ID.fullmatch(rest)
    if match is None:
        hint = "hub://datasets/owner/name@<commit of 40 hex digits>, and a path or glob in it if not all"
        raise DataError("a data set on the Hub is named by owner, name and commit", where=shown, hint=hint)
    note = cache / "known" / hashlib.sha256(shown.encode()).hexdigest()
    if note.is_file():
        kept = [Fetched(_place(cache, digest), name, digest) for name, digest in json.loads(note.read_bytes())]
        if all(one.path.is_file() for one in kept):
            return kept
    files = _hub_files(match, shown, cache)
    write_atomic(note, json.dumps([[one.name, one.digest] for one in files]).encode())
    return files


def _hub_files(match: re.Match[str], shown: str, cache: Path) -> list[Fetched]:
    process.allow_network()
    with _answering(HUB, shown):
        system = _system("hub", HUB, shown)
        path = f"datasets/{match[1]}@{match[2]}" + (f"/{match[3]}" if match[3] else "")
        return [_one(system, one, f"hub://{one.lstrip('/')}", cache) for one in _paths(system, path, shown)]
