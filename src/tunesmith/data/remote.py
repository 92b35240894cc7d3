"""Fetch remote files once through fsspec into a folder of the store, where each is stored under its digest."""

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
    """One kind of URL: the module that fsspec needs, the extra that installs it, and error classes besides OSError."""

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
"""Supported URL schemes. Archives and chains (`zip://`, `simplecache::`) are excluded: they would bypass other checks."""

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
"""Metadata of a remote file that changes when its content does."""


@dataclass(frozen=True)
class FetchedFile:
    """The local copy of a remote file: its path, its name in messages (without password and query), its digest."""

    path: Path
    name: str
    digest: str


def is_remote(pattern: str) -> bool:
    """Whether a source's path is a remote URL; `file://` is local."""
    return "://" in pattern and not pattern.startswith("file://")


def fetch_files(url: str, *, cache: Path, network: bool) -> list[FetchedFile]:
    """Fetch the files of a URL, or of a pattern with `*`, in name order. An unchanged file is not fetched again.

    `hub://datasets/owner/name@revision` takes a commit of 40 hex digits, whose content cannot change, so it is fetched once and
    then needs no network. Raises DataError on an unsupported URL, when `network` is off, and when there is no file;
    MachineFailure when the server does not answer.
    """
    public = _public_url(url)
    scheme, rest = _split_scheme(url, public)
    protocol = PROTOCOLS[scheme]
    if protocol.network and not network:
        hint = "set `network: true` on this source in the recipe"
        raise DataError("the source is remote, and the recipe does not allow the network", where=public, hint=hint)
    if scheme == "hub":
        return _fetch_from_hub(rest, public, cache)
    with _driver_errors(protocol, public):
        system = _file_system(scheme, protocol, public)
        paths = [url] if protocol is HTTP else _matching_paths(system, rest, public)
        return [_fetch_one(system, path, _public_name(scheme, path), cache) for path in paths]


def _matching_paths(system: Any, path: str, public: str) -> list[str]:
    """The files that match a pattern, the data files of a folder, or the path itself."""
    if "*" in path:
        files = sorted(str(match) for match in system.glob(path) if system.isfile(match))
    elif system.isdir(path):
        base = str(system.info(path)["name"]).rstrip("/")
        inside = [str(inner).removeprefix(f"{base}/") for inner in system.find(path)]
        files = [f"{base}/{inner}" for inner in select_data_files(inside, public.rstrip("/"))]
    else:
        return [path]
    if not files:
        raise DataError("no file matches", where=public)
    return files


def _public_url(url: str) -> str:
    """The URL without user, password, query and fragment, which must not enter a report."""
    scheme, _, rest = url.partition("://")
    place, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{place.rpartition('@')[2] if scheme != 'hub' else place}{slash}{path}"


def _public_name(scheme: str, path: str) -> str:
    bare = path.partition("://")[2] if "://" in path else path.lstrip("/")
    return _public_url(f"{scheme}://{bare}")


def _split_scheme(url: str, public: str) -> tuple[str, str]:
    match = URL.fullmatch(url)
    scheme = match[1].lower() if match else ""
    if match is None or scheme not in PROTOCOLS:
        hint = f"supported: {', '.join(f'{name}://' for name in PROTOCOLS)}, file://"
        raise DataError(f"{scheme or url.partition('://')[0]}:// is not supported", where=public, hint=hint)
    return scheme, match[2]


def _file_system(scheme: str, protocol: UrlProtocol, public: str) -> Any:
    """The file system of a protocol. Raises DataError, naming the extra, when its driver is not installed."""
    try:
        if protocol.module:
            importlib.import_module(protocol.module)
        return fsspec.filesystem("hf" if scheme == "hub" else scheme)
    except ImportError as error:
        what = f"{scheme}:// needs the package {protocol.module}"
        raise DataError(what, where=public, hint=f"pip install 'tunesmith[{protocol.extra}]'") from error


@contextmanager
def _driver_errors(protocol: UrlProtocol, public: str) -> Iterator[None]:
    """Convert the errors of a driver into DataError or MachineFailure, with the driver's message."""
    try:
        yield
    except FileNotFoundError as error:
        cause = error.__cause__
        if isinstance(cause, _error_classes(protocol)) and not isinstance(cause, FileNotFoundError):
            # fsspec raises FileNotFoundError for a web server that it could not reach.
            raise _fetch_error(cause, public) from error
        raise DataError("no such file", where=public) from error
    except PermissionError as error:
        raise _access_refused(public) from error
    except _error_classes(protocol) as error:
        raise _fetch_error(error, public) from error


def _access_refused(public: str) -> DataError:
    hint = "set the credentials in the usual environment variables or files of the service"
    return DataError("access denied by the server", where=public, hint=hint)


def _fetch_error(error: BaseException, public: str) -> DataError | MachineFailure:
    status = getattr(error, "status", getattr(getattr(error, "response", None), "status_code", None))
    if status in (401, 403):
        return _access_refused(public)
    if status in (404, 410):
        return DataError("no such file", where=public)
    reason = (str(error).strip().splitlines() or [""])[0]
    reason = re.sub(r"\?[^\s'\"]+", "", re.sub(r"//[^/@\s]+@", "//", reason))
    return MachineFailure(f"the file cannot be fetched: {type(error).__name__}: {reason[:200]}", where=public)


def _error_classes(protocol: UrlProtocol) -> tuple[type[Exception], ...]:
    """OSError and the driver's own error classes; its module is imported only after an error."""
    classes: list[type[Exception]] = [OSError]
    for dotted in protocol.errors:
        module, _, name = dotted.partition(":")
        try:
            classes.append(getattr(importlib.import_module(module), name))
        except ImportError:
            continue
    return tuple(classes)


def _fetch_one(system: Any, path: str, name: str, cache: Path) -> FetchedFile:
    """The current file: from the cache when its size, tag and time are unchanged, else fetched and hashed."""
    info = system.info(path)
    versions = {key: str(info[key]) for key in VERSION_FIELDS if info.get(key) is not None}
    # The size alone does not identify a version.
    has_version = len(versions) > ("size" in versions)
    key = hashlib.sha256(json.dumps([name, path, versions], sort_keys=True).encode()).hexdigest()
    note = cache / "known" / key
    digest = note.read_text(encoding="utf-8") if has_version and note.is_file() else ""
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
    """Copy a remote file to a file named by its digest."""
    with disk_errors(cache):
        cache.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=cache, prefix=".tmp-")
    hasher = hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as target, system.open(path, "rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                hasher.update(chunk)
                _write_chunk(chunk, target, cache)
        digest = f"sha256:{hasher.hexdigest()}"
        os.replace(temporary, _cached_path(cache, digest))
    finally:
        Path(temporary).unlink(missing_ok=True)
    return digest


def _fetch_from_hub(rest: str, public: str, cache: Path) -> list[FetchedFile]:
    """The data files of a Hub data set at one commit. Their list is cached, since a commit does not change."""
    match = HUB_ID.fullmatch(rest)
    if match is None:
        hint = "hub://datasets/owner/name@<commit of 40 hex digits>, and a path or glob in it if not all"
        raise DataError("a Hub data set needs owner, name and commit", where=public, hint=hint)
    note = cache / "known" / hashlib.sha256(public.encode()).hexdigest()
    if note.is_file():
        cached = [
            FetchedFile(_cached_path(cache, digest), name, digest) for name, digest in json.loads(note.read_bytes())
        ]
        if all(file.path.is_file() for file in cached):
            return cached
    files = _download_from_hub(match, public, cache)
    write_atomic(note, json.dumps([[file.name, file.digest] for file in files]).encode())
    return files


def _download_from_hub(match: re.Match[str], public: str, cache: Path) -> list[FetchedFile]:
    process.allow_network()
    with _driver_errors(HUB, public):
        system = _file_system("hub", HUB, public)
        path = f"datasets/{match[1]}@{match[2]}" + (f"/{match[3]}" if match[3] else "")
        return [
            _fetch_one(system, file, f"hub://{file.lstrip('/')}", cache)
            for file in _matching_paths(system, path, public)
        ]
