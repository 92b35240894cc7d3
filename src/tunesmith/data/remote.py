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
from tunesmith.data.folders import select_data_files
from tunesmith.errors import DataError, MachineFailure
from tunesmith.store.objects import disk_errors, write_atomic


@dataclass(frozen=True)
class UrlProtocol:
    """How one kind of URL is read: the module that fsspec needs, the extra that brings it, what else its errors are called."""

    module: str = ""
    extra: str = ""
    errors: tuple[str, ...] = ()
    network: bool = True


S3: Final = UrlProtocol("s3fs", "s3", ("botocore.exceptions:BotoCoreError", "botocore.exceptions:ClientError"))
GCS: Final = UrlProtocol("gcsfs", "gs", ("gcsfs.retry:HttpError", "google.auth.exceptions:GoogleAuthError"))
AZURE: Final = UrlProtocol("adlfs", "azure", ("azure.core.exceptions:AzureError",))
HTTP: Final = UrlProtocol("aiohttp", "http", ("aiohttp:ClientError",))
HUB: Final = UrlProtocol("huggingface_hub", "", ("httpx:HTTPError", "httpx2:HTTPError"))
PROTOCOLS: Final[Mapping[str, UrlProtocol]] = {
    "s3": S3,
    "gs": GCS,
    "gcs": GCS,
    "az": AZURE,
    "abfs": AZURE,
    "http": HTTP,
    "https": HTTP,
    "hub": HUB,
    "memory": UrlProtocol(network=False),
}
"""Archives and chains (`zip://`, `simplecache::`) are not among them: they would open what is refused elsewhere."""

URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
HUB_ID: Final = re.compile(r"datasets/([\w.-]+/[\w.-]+)@([0-9a-f]{40})(?:/(.+))?")
CHUNK_BYTES: Final = 1 << 20
VERSION_FIELDS: Final = (
    "size",
    "ETag",
    "etag",
    "Content-MD5",
    "Last-Modified",
    "LastModified",
    "mtime",
    "created",
    "blob_id",
)
"""What file systems say of a file that is another value when the file is another one."""


@dataclass(frozen=True)
class FetchedFile:
    """A remote file on this machine: where, what messages call it (no password, no query), its digest."""

    path: Path
    name: str
    digest: str


def is_remote(pattern: str) -> bool:
    """Whether a source's path is a URL; `file://` is this machine."""
    return "://" in pattern and not pattern.startswith("file://")


def fetch_files(url: str, *, cache: Path, network: bool) -> list[FetchedFile]:
    """The files of a URL or of a pattern with `*`, in name order. A file that has not changed since is not fetched again.

    `hub://datasets/owner/name@revision` takes a commit of 40 hex digits; what it holds cannot change, so once fetched it needs no
    network. Raises DataError on a URL that is not known or not allowed and when nothing is there, MachineFailure when the other
    side does not answer.
    """
    shown = _public_url(url)
    scheme, rest = _split_scheme(url, shown)
    known = PROTOCOLS[scheme]
    if known.network and not network:
        hint = "write `network: true` at the source to let this run fetch it"
        raise DataError("the source needs the network, and the recipe does not allow it", where=shown, hint=hint)
    if scheme == "hub":
        return _fetch_from_hub(rest, shown, cache)
    with _driver_errors(known, shown):
        system = _file_system(scheme, known, shown)
        paths = [url] if known is HTTP else _matching_paths(system, rest, shown)
        return [_fetch_one(system, path, _public_name(scheme, path), cache) for path in paths]


def _matching_paths(system: Any, path: str, shown: str) -> list[str]:
    """What a path names: the files that match a pattern, the rows of a folder, or itself."""
    if "*" in path:
        found = sorted(str(one) for one in system.glob(path) if system.isfile(one))
    elif system.isdir(path):
        base = str(system.info(path)["name"]).rstrip("/")
        inside = [str(one).removeprefix(f"{base}/") for one in system.find(path)]
        found = [f"{base}/{one}" for one in select_data_files(inside, shown.rstrip("/"))]
    else:
        return [path]
    if not found:
        raise DataError("no file matches", where=shown)
    return found


def _public_url(url: str) -> str:
    """The URL without user, password, query and fragment: none of them belongs into a report."""
    scheme, _, rest = url.partition("://")
    place, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{place.rpartition('@')[2] if scheme != 'hub' else place}{slash}{path}"


def _public_name(scheme: str, path: str) -> str:
    bare = path.partition("://")[2] if "://" in path else path.lstrip("/")
    return _public_url(f"{scheme}://{bare}")


def _split_scheme(url: str, shown: str) -> tuple[str, str]:
    match = URL.fullmatch(url)
    scheme = match[1].lower() if match else ""
    if match is None or scheme not in PROTOCOLS:
        hint = f"known: {', '.join(f'{name}://' for name in PROTOCOLS)}, file://"
        raise DataError(f"{scheme or url.partition('://')[0]}:// is not read", where=shown, hint=hint)
    return scheme, match[2]


def _file_system(scheme: str, known: UrlProtocol, shown: str) -> Any:
    """The file system of a protocol. Raises DataError, naming the extra, when its driver is not installed."""
    try:
        if known.module:
            importlib.import_module(known.module)
        return fsspec.filesystem("hf" if scheme == "hub" else scheme)
    except ImportError as error:
        what = f"{scheme}:// needs the package {known.module}"
        raise DataError(what, where=shown, hint=f"pip install 'tunesmith[{known.extra}]'") from error


@contextmanager
def _driver_errors(known: UrlProtocol, shown: str) -> Iterator[None]:
    """Turn what a driver raises into an error of ours, with the words of the driver."""
    try:
        yield
    except FileNotFoundError as error:
        cause = error.__cause__
        if isinstance(cause, _error_classes(known)) and not isinstance(cause, FileNotFoundError):
            # fsspec says this of a web server that it could not even reach.
            raise _fetch_error(cause, shown) from error
        raise DataError("no such file", where=shown) from error
    except PermissionError as error:
        raise _access_refused(shown) from error
    except _error_classes(known) as error:
        raise _fetch_error(error, shown) from error


def _access_refused(shown: str) -> DataError:
    hint = "the driver reads the usual environment variables and files of its service"
    return DataError("the other side refuses access", where=shown, hint=hint)


def _fetch_error(error: BaseException, shown: str) -> DataError | MachineFailure:
    status = getattr(error, "status", getattr(getattr(error, "response", None), "status_code", None))
    if status in (401, 403):
        return _access_refused(shown)
    if status in (404, 410):
        return DataError("no such file", where=shown)
    reason = (str(error).strip().splitlines() or [""])[0]
    reason = re.sub(r"\?[^\s'\"]+", "", re.sub(r"//[^/@\s]+@", "//", reason))
    return MachineFailure(f"the file cannot be fetched: {type(error).__name__}: {reason[:200]}", where=shown)


def _error_classes(known: UrlProtocol) -> tuple[type[Exception], ...]:
    """OSError and the driver's own error classes, looked up only when something was raised."""
    found: list[type[Exception]] = [OSError]
    for place in known.errors:
        module, _, name = place.partition(":")
        try:
            found.append(getattr(importlib.import_module(module), name))
        except ImportError:
            continue
    return tuple(found)


def _fetch_one(system: Any, path: str, name: str, cache: Path) -> FetchedFile:
    """A file as it is now: from the cache when its size, tag or time say that it is the same, else fetched and hashed."""
    state = system.info(path)
    marks = {key: str(state[key]) for key in VERSION_FIELDS if state.get(key) is not None}
    fixed = len(marks) > ("size" in marks)
    key = hashlib.sha256(json.dumps([name, path, marks], sort_keys=True).encode()).hexdigest()
    note = cache / "known" / key
    digest = note.read_text(encoding="utf-8") if fixed and note.is_file() else ""
    if not digest or not _cached_path(cache, digest).is_file():
        digest = _download(system, path, cache)
        write_atomic(note, digest.encode())
    return FetchedFile(_cached_path(cache, digest), name, digest)


def _cached_path(cache: Path, digest: str) -> Path:
    return cache / digest.removeprefix("sha256:")


def _write_chunk(chunk: bytes, target: IO[bytes], cache: Path) -> None:
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
            while chunk := source.read(CHUNK_BYTES):
                total.update(chunk)
                _write_chunk(chunk, target, cache)
        digest = f"sha256:{total.hexdigest()}"
        os.replace(temporary, _cached_path(cache, digest))
    finally:
        Path(temporary).unlink(missing_ok=True)
    return digest


def _fetch_from_hub(rest: str, shown: str, cache: Path) -> list[FetchedFile]:
    """The data files of a data set on the Hub at one commit, and the list of them kept, since a commit does not change."""
    match = HUB_ID.fullmatch(rest)
    if match is None:
        hint = "hub://datasets/owner/name@<commit of 40 hex digits>, and a path or glob in it if not all"
        raise DataError("a data set on the Hub is named by owner, name and commit", where=shown, hint=hint)
    note = cache / "known" / hashlib.sha256(shown.encode()).hexdigest()
    if note.is_file():
        kept = [
            FetchedFile(_cached_path(cache, digest), name, digest) for name, digest in json.loads(note.read_bytes())
        ]
        if all(one.path.is_file() for one in kept):
            return kept
    files = _download_from_hub(match, shown, cache)
    write_atomic(note, json.dumps([[one.name, one.digest] for one in files]).encode())
    return files


def _download_from_hub(match: re.Match[str], shown: str, cache: Path) -> list[FetchedFile]:
    process.allow_network()
    with _driver_errors(HUB, shown):
        system = _file_system("hub", HUB, shown)
        path = f"datasets/{match[1]}@{match[2]}" + (f"/{match[3]}" if match[3] else "")
        return [
            _fetch_one(system, one, f"hub://{one.lstrip('/')}", cache) for one in _matching_paths(system, path, shown)
        ]
