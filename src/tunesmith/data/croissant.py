"""Import Croissant 1.0 and 1.1: each file of a croissant.json becomes a source with its rights, after a check of its digest.

Supported are license, creator, citeAs or description (the origin), inLanguage, expires, the RAI time frame of collection, PROV-O
and ODRL as Tunesmith writes them, and fields that are plain columns. Anything unsupported that would change what is trained, or
under which terms, is an error: remote files without a local copy, files without a SHA-256, FileSets, archives, fields with
transforms, unknown licences and terms of use.
Source: Croissant format specification 1.1 (MLCommons, 2025-12-10); docs/formats/data-provenance.md.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote

from pydantic import ValidationError

from tunesmith.data import formats
from tunesmith.data.croissant_terms import iso_day, joined_names, plain_text, single_language, spdx_license, usage_terms
from tunesmith.data.format import FORMATS
from tunesmith.data.licenses import combine_licenses
from tunesmith.errors import DataError, IntegrityBroken
from tunesmith.recipe import SourceSettings

CROISSANT_VERSIONS: Final = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/1.1")
DEFAULT_PREFIXES: Final = re.compile(
    r"^(?:sc:|schema:|cr:|dct:|https?://schema\.org/|http://mlcommons\.org/croissant/(?!RAI/)|http://purl\.org/dc/terms/)"
)
NO_SETTINGS: Final[Mapping[str, Any]] = MappingProxyType({})
COMPARED_RIGHTS: Final = (
    *("license", "origin", "author", "basis", "purpose"),
    *("collected", "expires", "source_class", "generator", "language"),
)
"""Keys of a source that are compared when both the recipe and the Croissant file state them."""
REMOTE_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
KEY_JSON_PATH: Final = re.compile(r"\$\[\*\]\.(?:(\w+)|\"((?:[^\"\\]|\\[\"\\])+)\")")
"""The JSONPath of one key of all objects of an array: `$[*].text` or `$[*]."a text"`."""


def croissant_sources(
    path: Path, *, split: str | None = None, roots: Sequence[Path] = (), own: Mapping[str, Any] = NO_SETTINGS
) -> tuple[SourceSettings, ...]:
    """The files of a Croissant file as sources, in its order.

    Files are looked up beside `path` and below the `roots`; a source's path is relative to the first root that contains it, else
    absolute. With `split`, files of other splits are skipped. `own` has the settings that the recipe states, which override the
    file; `own["path"]` selects one file by contentUrl, name or id.
    Raises DataError on unsupported content, IntegrityBroken when a file does not match its SHA-256.
    """
    return tuple(_source(entry, own) for entry in _file_entries(path, split, roots, own))


def expand_source(
    spec: SourceSettings, *, split: str, roots: Sequence[Path]
) -> tuple[tuple[SourceSettings, dict[str, str]], ...]:
    """(source, contradicted rights) of each file of a recipe's source; rights are those of the Croissant file, by key.

    A source without a Croissant file is returned unchanged. Settings of the recipe override the file; see `croissant_sources`.
    """
    if spec.croissant is None:
        return ((spec, {}),)
    path = next(
        (root / spec.croissant for root in roots if (root / spec.croissant).is_file()), roots[0] / spec.croissant
    )
    own = {key: getattr(spec, key) for key in sorted(spec.model_fields_set - {"croissant"})}
    return tuple((_source(entry, own), _contradictions(entry, own)) for entry in _file_entries(path, split, roots, own))


def _file_entries(
    path: Path, split: str | None, roots: Sequence[Path], own: Mapping[str, Any]
) -> tuple["_FileEntry", ...]:
    document = _read_document(path)
    selected = [file for file in _file_objects(document, path) if _is_wanted(file, split, own.get("path"))]
    if not selected:
        hint = "set `path:` to the contentUrl, name or id of one of its files, and check its split"
        raise DataError("no file matches", where=str(path), hint=hint)
    return tuple(_FileEntry(path, document, file, tuple(roots)) for file in selected)


@dataclass(frozen=True)
class _FileEntry:
    """One FileObject of a Croissant document, and the folders in which its file is looked up."""

    croissant: Path
    document: dict[str, Any]
    file: dict[str, Any]
    roots: tuple[Path, ...]

    @property
    def where(self) -> str:
        return f"{self.croissant}, {plain_text(self.file.get('name')) or self.file.get('@id', 'a file')}"

    @property
    def dataset(self) -> dict[str, Any]:
        """Properties of the data set that apply to the file; empty in Tunesmith's own files, which state all on the file."""
        return {} if "tunesmith:split" in self.file else self.document

    def value(self, key: str) -> Any:
        return self.file.get(key, self.dataset.get(key))


def _read_document(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError("no such file", where=str(path), hint="paths are relative to the recipe, or to --data-root")
    try:
        document = _strip_prefixes(json.loads(path.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise DataError(f"not readable JSON: {error}", where=str(path)) from error
    if not isinstance(document, dict):
        raise DataError("a Croissant file is one JSON object", where=str(path))
    conforms_to = document.get("conformsTo")
    versions = [item.get("@id") if isinstance(item, dict) else item for item in _as_list(conforms_to)]
    if not any(version in CROISSANT_VERSIONS for version in versions):
        raise DataError(
            f"conformsTo is {conforms_to!r}", where=str(path), hint=f"supported: {' and '.join(CROISSANT_VERSIONS)}"
        )
    return document


def _strip_prefixes(value: Any) -> Any:
    """The JSON-LD without default prefixes in its keys, and with typed values replaced by their `@value`."""
    if isinstance(value, dict):
        if "@value" in value:
            return value["@value"]
        return {
            DEFAULT_PREFIXES.sub("", key): item if key == "@context" else _strip_prefixes(item)
            for key, item in value.items()
        }
    return [_strip_prefixes(item) for item in value] if isinstance(value, list) else value


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _file_objects(document: dict[str, Any], path: Path) -> Iterator[dict[str, Any]]:
    distribution = _as_list(document.get("distribution"))
    if not distribution:
        raise DataError("no files: `distribution` is missing or empty", where=str(path))
    for file in distribution:
        kinds = [
            DEFAULT_PREFIXES.sub("", str(kind))
            for kind in _as_list(file.get("@type") if isinstance(file, dict) else None)
        ]
        if "FileObject" not in kinds:
            hint = "only FileObject is supported; write one for each file"
            raise DataError(
                f"the distribution has {' '.join(kinds) or 'an entry without @type'}", where=str(path), hint=hint
            )
        yield file


def _is_wanted(file: dict[str, Any], split: str | None, chosen: str | None) -> bool:
    file_split = file.get("tunesmith:split")
    if split is not None and file_split is not None and file_split != split:
        return False
    url = str(file.get("contentUrl", ""))
    return not chosen or chosen in (url, unquote(url), plain_text(file.get("name")), file.get("@id"))


def _readers(entry: _FileEntry, *, terms_known: bool) -> dict[str, Callable[[], Any]]:
    """A reader for each key of a source. With `terms_known`, unknown terms of use are accepted: the recipe states them."""
    return {
        "license": lambda: spdx_license(entry.value("license"), where=entry.where),
        "origin": lambda: _origin(entry),
        "author": lambda: _author(entry),
        "collected": lambda: _collected(entry),
        "language": lambda: single_language(entry.value("inLanguage")),
        "generator": lambda: joined_names(_agents(entry, software=True)),
        "source": lambda: entry.file.get("tunesmith:source") or plain_text(entry.dataset.get("name")),
        "source_class": lambda: entry.file.get("tunesmith:sourceClass"),
        "basis": lambda: entry.file.get("tunesmith:basis"),
        "subject": lambda: entry.file.get("tunesmith:subject"),
        "format": lambda: entry.file.get("tunesmith:format"),
        "columns": lambda: entry.file.get("tunesmith:columns") or _renamed_columns(entry),
        "purpose": lambda: _usage_terms(entry, terms_known)[0],
        "expires": lambda: _expires(entry, terms_known),
    }


def _usage_terms(entry: _FileEntry, terms_known: bool) -> tuple[str | None, date | None]:
    return usage_terms(entry.value("usageInfo"), where=entry.where, terms_known=terms_known)


def _expires(entry: _FileEntry, terms_known: bool) -> date | None:
    days = (iso_day(entry.value("expires"), where=entry.where), _usage_terms(entry, terms_known)[1])
    return min((day for day in days if day is not None), default=None)


def _contradictions(entry: _FileEntry, own: Mapping[str, Any]) -> dict[str, str]:
    """{key: value of the Croissant file} for the rights that the recipe states differently; unreadable values are skipped."""
    contradicted = {}
    readers = _readers(entry, terms_known=True)
    for key in (key for key in COMPARED_RIGHTS if own.get(key) is not None):
        try:
            value = readers[key]()
        except DataError:
            continue
        if isinstance(value, str | date) and _comparable(key, value) != _comparable(key, own[key]):
            contradicted[key] = str(value)
    return contradicted


def _comparable(key: str, value: Any) -> str:
    return (combine_licenses([str(value)]) if key == "license" else None) or str(value).strip()


def _source(entry: _FileEntry, own: Mapping[str, Any]) -> SourceSettings:
    path = _verified_path(entry)
    values = {key: read() for key, read in _readers(entry, terms_known="purpose" in own).items() if key not in own}
    settings = {key: value for key, value in {**values, **own}.items() if value is not None}
    try:
        return SourceSettings.model_validate({**settings, "path": _path_below_roots(path, entry.roots)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}, got {first.get('input')!r}"
        raise DataError(what, where=entry.where) from error


def _verified_path(entry: _FileEntry) -> Path:
    """The path of the file, whose SHA-256 is the one described."""
    expected = entry.file.get("sha256")
    if not isinstance(expected, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", expected):
        hint = "add `sha256` (64 hex digits) to each FileObject"
        raise DataError("the FileObject has no sha256", where=entry.where, hint=hint)
    if entry.file.get("containedIn") is not None:
        hint = "extract the file and describe it directly"
        raise DataError("files inside archives (`containedIn`) are not supported", where=entry.where, hint=hint)
    path = _local_path(entry)
    try:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except PermissionError as error:
        raise DataError("the file cannot be read: permission denied", where=entry.where) from error
    if actual != expected.lower():
        hint = "download the file again, or use the croissant.json of this file"
        raise IntegrityBroken(f"{path.name} has another SHA-256 than described: {actual}", where=entry.where, hint=hint)
    return path


def _local_path(entry: _FileEntry) -> Path:
    url = entry.file.get("contentUrl")
    if not isinstance(url, str) or not url.strip():
        raise DataError("the FileObject has no contentUrl", where=entry.where)
    if remote := REMOTE_URL.match(url) is not None:
        names = [plain_text(entry.file.get("name")) or "", unquote(re.split(r"[?#]", url)[0]).rsplit("/", 1)[-1]]
    else:
        names = [unquote(url), url]
    candidates = [root / name for root in (entry.croissant.parent, *entry.roots) for name in names if name]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None and remote:
        hint = f"files are not fetched; download it to {names[1] or names[0]} beside {entry.croissant.name}"
        raise DataError(f"{url} is remote", where=entry.where, hint=hint)
    if path is None:
        hint = f"put it beside {entry.croissant.name}, beside the recipe or below --data-root"
        raise DataError(f"file {unquote(url)} not found", where=entry.where, hint=hint)
    return path


def _path_below_roots(path: Path, roots: Sequence[Path]) -> str:
    """The path relative to the first root, when it resolves to this file and not to one below an earlier root; else absolute."""
    path = path.resolve()
    for root in roots:
        if path.is_relative_to(root.resolve()):
            inner = path.relative_to(root.resolve())
            first = next(other / inner for other in roots if (other / inner).exists())
            return inner.as_posix() if first.resolve() == path else path.as_posix()
    return path.as_posix()


def _agents(entry: _FileEntry, *, software: bool) -> list[Any]:
    agents = [agent for agent in _as_list(entry.file.get("prov:wasAttributedTo")) if isinstance(agent, dict)]
    return [agent for agent in agents if ("prov:SoftwareAgent" in _as_list(agent.get("@type"))) == software]


def _author(entry: _FileEntry) -> str | None:
    return (
        joined_names(entry.file.get("creator"))
        or joined_names(_agents(entry, software=False))
        or joined_names(entry.dataset.get("creator"))
    )


def _origin(entry: _FileEntry) -> str | None:
    entities = joined_names(entry.file.get("prov:wasDerivedFrom"))
    return entities or plain_text(entry.dataset.get("citeAs")) or plain_text(entry.dataset.get("description"))


def _collected(entry: _FileEntry) -> Any:
    """The last day of collection. The specification writes `Timeframe`, mlcroissant 1.1.1 `TimeFrame`."""
    activity = entry.file.get("prov:wasGeneratedBy")
    ended = activity.get("prov:endedAtTime") if isinstance(activity, dict) else None
    frames = (entry.dataset.get(f"rai:dataCollectionTime{frame}") for frame in ("frame", "Frame"))
    times = _as_list(ended) or [str(time).rsplit("/", 1)[-1] for frame in frames for time in _as_list(frame)]
    return max((day for time in times if (day := iso_day(time, where=entry.where))), default=None)


def _renamed_columns(entry: _FileEntry) -> dict[str, str]:
    """{role: column} for the roles whose column has another name, from the fields that refer to this file."""
    columns: dict[str, str] = {}
    for role, source in _role_fields(entry):
        column = _column_name(source, f"{entry.where}, field {role}")
        if columns.setdefault(role, column) != column:
            raise DataError(
                f"two fields read {role!r} from different columns",
                where=entry.where,
                hint=f"set `columns: {{{role}: ...}}`",
            )
    return {role: column for role, column in columns.items() if role != column}


def _role_fields(entry: _FileEntry) -> Iterator[tuple[str, dict[str, Any]]]:
    """(role, source) of the fields of this file whose name is a role of a format."""
    FORMATS.load(formats)
    roles = {role for name in FORMATS for role in FORMATS.build(name).roles}
    records = [record for record in _as_list(entry.document.get("recordSet")) if isinstance(record, dict)]
    for field in (field for record in records for field in _as_list(record.get("field")) if isinstance(field, dict)):
        source = field.get("source")
        named = {str(field.get("@id", "")).rsplit("/", 1)[-1], plain_text(field.get("name"))} & roles
        if (
            not named
            or not isinstance(source, dict)
            or _reference_id(source.get("fileObject")) != entry.file.get("@id")
        ):
            continue
        yield min(str(name) for name in named), source


def _column_name(source: dict[str, Any], where: str) -> str:
    extract = source.get("extract")
    extract = extract if isinstance(extract, dict) else {}
    path = KEY_JSON_PATH.fullmatch(str(extract.get("jsonPath", "")))
    column = extract.get("column") or (path and (path[1] or re.sub(r"\\(.)", r"\1", path[2])))
    if not isinstance(column, str) or source.get("transform") is not None:
        hint = "only unchanged columns are supported; set `columns:` in the recipe"
        raise DataError("the field is not a plain column", where=where, hint=hint)
    return column


def _reference_id(reference: Any) -> Any:
    return reference.get("@id") if isinstance(reference, dict) else reference
