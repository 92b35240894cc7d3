"""Import of Croissant 1.0 and 1.1: each file of a croissant.json becomes a source with its rights, its digest checked.

Read are license, creator, citeAs or description (the origin), inLanguage, expires, the RAI time frame of collection, PROV-O and
ODRL as Tunesmith writes them, and the columns of fields that are plain columns. What cannot be read is refused and never
passed over when it would change what is trained or under which terms: remote files without a local copy, files without a
SHA-256, FileSets, archives, fields made by transforms, licences and terms of use that are not understood.
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
"""Keys of a source that are compared where both the recipe and the Croissant file state them."""
REMOTE_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
KEY_JSON_PATH: Final = re.compile(r"\$\[\*\]\.(?:(\w+)|\"((?:[^\"\\]|\\[\"\\])+)\")")
"""JSONPath of a key of every object of an array, as croissant.json writes it: `$[*].text` or `$[*]."a text"`."""


def croissant_sources(
    path: Path, *, split: str | None = None, roots: Sequence[Path] = (), own: Mapping[str, Any] = NO_SETTINGS
) -> tuple[SourceSettings, ...]:
    """The files of a Croissant file as sources, in its order.

    Files lie beside `path` or below one of `roots`; a source's path is relative to the first root it lies below, else absolute.
    With `split`, files that say they are of another one are left out. `own` is what the recipe states itself: it is not read
    from the file, and `own["path"]` picks one file by contentUrl, name or id.
    Raises DataError on what cannot be read, IntegrityBroken when a file is not the one that was described.
    """
    return tuple(_source(entry, own) for entry in _file_entries(path, split, roots, own))


def expand_source(
    spec: SourceSettings, *, split: str, roots: Sequence[Path]
) -> tuple[tuple[SourceSettings, dict[str, str]], ...]:
    """The sources that one of the recipe stands for, each with what its Croissant file says otherwise, by key.

    A source without a Croissant file stands for itself. What the recipe states goes first; see `sources_of`.
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
    picked = [file for file in _file_objects(document, path) if _is_wanted(file, split, own.get("path"))]
    if not picked:
        hint = "name one of its files by contentUrl, name or id, and the split that it belongs to"
        raise DataError("no file of it fits", where=str(path), hint=hint)
    return tuple(_FileEntry(path, document, file, tuple(roots)) for file in picked)


@dataclass(frozen=True)
class _FileEntry:
    """One FileObject of a document, and where its file may lie."""

    croissant: Path
    document: dict[str, Any]
    file: dict[str, Any]
    roots: tuple[Path, ...]

    @property
    def where(self) -> str:
        return f"{self.croissant}, {plain_text(self.file.get('name')) or self.file.get('@id', 'a file')}"

    @property
    def whole(self) -> dict[str, Any]:
        """What stands for the data set and so for the file; Tunesmith writes all that it knows of a file on the file."""
        return {} if "tunesmith:split" in self.file else self.document

    def value(self, key: str) -> Any:
        return self.file.get(key, self.whole.get(key))


def _read_document(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError("no such file", where=str(path), hint="paths are relative to the recipe, or to --data-root")
    try:
        document = _strip_prefixes(json.loads(path.read_bytes()))
    except (ValueError, RecursionError) as error:
        raise DataError(f"not readable JSON: {error}", where=str(path)) from error
    if not isinstance(document, dict):
        raise DataError("a Croissant file is one JSON object", where=str(path))
    stated = document.get("conformsTo")
    versions = [item.get("@id") if isinstance(item, dict) else item for item in _as_list(stated)]
    if not any(version in CROISSANT_VERSIONS for version in versions):
        raise DataError(
            f"conformsTo is {stated!r}", where=str(path), hint=f"read are {' and '.join(CROISSANT_VERSIONS)}"
        )
    return document


def _strip_prefixes(value: Any) -> Any:
    """The JSON-LD with the default prefixes taken off its keys, and typed values as what they hold."""
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
    found = _as_list(document.get("distribution"))
    if not found:
        raise DataError("it describes no files: there is no distribution", where=str(path))
    for file in found:
        kinds = [
            DEFAULT_PREFIXES.sub("", str(kind))
            for kind in _as_list(file.get("@type") if isinstance(file, dict) else None)
        ]
        if "FileObject" not in kinds:
            hint = "only single files are read; write a FileObject for each file"
            raise DataError(
                f"the distribution has a {' '.join(kinds) or 'thing without a type'}", where=str(path), hint=hint
            )
        yield file


def _is_wanted(file: dict[str, Any], split: str | None, chosen: str | None) -> bool:
    of = file.get("tunesmith:split")
    if split is not None and of is not None and of != split:
        return False
    url = str(file.get("contentUrl", ""))
    return not chosen or chosen in (url, unquote(url), plain_text(file.get("name")), file.get("@id"))


def _readers(entry: _FileEntry, *, known: bool) -> dict[str, Callable[[], Any]]:
    """What reads each key of a source; `known` says that the recipe's maker has read the terms of use."""
    return {
        "license": lambda: spdx_license(entry.value("license"), where=entry.where),
        "origin": lambda: _origin(entry),
        "author": lambda: _author(entry),
        "collected": lambda: _collected(entry),
        "language": lambda: single_language(entry.value("inLanguage")),
        "generator": lambda: joined_names(_agents(entry, software=True)),
        "source": lambda: entry.file.get("tunesmith:source") or plain_text(entry.whole.get("name")),
        "source_class": lambda: entry.file.get("tunesmith:sourceClass"),
        "basis": lambda: entry.file.get("tunesmith:basis"),
        "subject": lambda: entry.file.get("tunesmith:subject"),
        "format": lambda: entry.file.get("tunesmith:format"),
        "columns": lambda: entry.file.get("tunesmith:columns") or _renamed_columns(entry),
        "purpose": lambda: _usage_terms(entry, known)[0],
        "expires": lambda: _expires(entry, known),
    }


def _usage_terms(entry: _FileEntry, known: bool) -> tuple[str | None, date | None]:
    return usage_terms(entry.value("usageInfo"), where=entry.where, known=known)


def _expires(entry: _FileEntry, known: bool) -> date | None:
    days = (iso_day(entry.value("expires"), where=entry.where), _usage_terms(entry, known)[1])
    return min((day for day in days if day is not None), default=None)


def _contradictions(entry: _FileEntry, own: Mapping[str, Any]) -> dict[str, str]:
    """What the file says of a right that the recipe states otherwise; what cannot be read contradicts nothing."""
    found = {}
    readers = _readers(entry, known=True)
    for key in (key for key in COMPARED_RIGHTS if own.get(key) is not None):
        try:
            value = readers[key]()
        except DataError:
            continue
        if isinstance(value, str | date) and _comparable(key, value) != _comparable(key, own[key]):
            found[key] = str(value)
    return found


def _comparable(key: str, value: Any) -> str:
    return (combine_licenses([str(value)]) if key == "license" else None) or str(value).strip()


def _source(entry: _FileEntry, own: Mapping[str, Any]) -> SourceSettings:
    place = _verified_path(entry)
    values = {key: read() for key, read in _readers(entry, known="purpose" in own).items() if key not in own}
    settings = {key: value for key, value in {**values, **own}.items() if value is not None}
    try:
        return SourceSettings.model_validate({**settings, "path": _path_below_roots(place, entry.roots)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}, got {first.get('input')!r}"
        raise DataError(what, where=entry.where) from error


def _verified_path(entry: _FileEntry) -> Path:
    """Where the file lies, when its bytes are those that were described."""
    expected = entry.file.get("sha256")
    if not isinstance(expected, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", expected):
        hint = "give each FileObject the SHA-256 of its file, 64 hex digits"
        raise DataError("it has no sha256, so its file cannot be checked", where=entry.where, hint=hint)
    if entry.file.get("containedIn") is not None:
        hint = "unpack it and describe the file itself"
        raise DataError("it lies inside another file", where=entry.where, hint=hint)
    place = _local_path(entry)
    try:
        with place.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except PermissionError as error:
        raise DataError("the file cannot be read: permission denied", where=entry.where) from error
    if found != expected.lower():
        hint = "get the file again, or the croissant.json that belongs to it"
        raise IntegrityBroken(f"{place.name} is not the file described: SHA-256 {found}", where=entry.where, hint=hint)
    return place


def _local_path(entry: _FileEntry) -> Path:
    url = entry.file.get("contentUrl")
    if not isinstance(url, str) or not url.strip():
        raise DataError("it has no contentUrl", where=entry.where)
    if remote := REMOTE_URL.match(url) is not None:
        wanted = [plain_text(entry.file.get("name")) or "", unquote(re.split(r"[?#]", url)[0]).rsplit("/", 1)[-1]]
    else:
        wanted = [unquote(url), url]
    places = [root / name for root in (entry.croissant.parent, *entry.roots) for name in wanted if name]
    found = next((place for place in places if place.is_file()), None)
    if found is None and remote:
        hint = f"nothing is fetched; download it to {wanted[1] or wanted[0]} beside {entry.croissant.name}"
        raise DataError(f"{url} is remote", where=entry.where, hint=hint)
    if found is None:
        hint = f"put it beside {entry.croissant.name}, beside the recipe or below --data-root"
        raise DataError(f"there is no {unquote(url)}", where=entry.where, hint=hint)
    return found


def _path_below_roots(place: Path, roots: Sequence[Path]) -> str:
    """The path that finds this very file again, and no other of the same name below an earlier root."""
    place = place.resolve()
    for root in roots:
        if place.is_relative_to(root.resolve()):
            inner = place.relative_to(root.resolve())
            first = next(other / inner for other in roots if (other / inner).exists())
            return inner.as_posix() if first.resolve() == place else place.as_posix()
    return place.as_posix()


def _agents(entry: _FileEntry, *, software: bool) -> list[Any]:
    agents = [agent for agent in _as_list(entry.file.get("prov:wasAttributedTo")) if isinstance(agent, dict)]
    return [agent for agent in agents if ("prov:SoftwareAgent" in _as_list(agent.get("@type"))) == software]


def _author(entry: _FileEntry) -> str | None:
    return (
        joined_names(entry.file.get("creator"))
        or joined_names(_agents(entry, software=False))
        or joined_names(entry.whole.get("creator"))
    )


def _origin(entry: _FileEntry) -> str | None:
    entities = joined_names(entry.file.get("prov:wasDerivedFrom"))
    return entities or plain_text(entry.whole.get("citeAs")) or plain_text(entry.whole.get("description"))


def _collected(entry: _FileEntry) -> Any:
    """The day on which collecting ended. The specification writes `Timeframe`, mlcroissant 1.1.1 `TimeFrame`."""
    activity = entry.file.get("prov:wasGeneratedBy")
    ended = activity.get("prov:endedAtTime") if isinstance(activity, dict) else None
    frames = (entry.whole.get(f"rai:dataCollectionTime{frame}") for frame in ("frame", "Frame"))
    times = _as_list(ended) or [str(time).rsplit("/", 1)[-1] for frame in frames for time in _as_list(frame)]
    return max((day for time in times if (day := iso_day(time, where=entry.where))), default=None)


def _renamed_columns(entry: _FileEntry) -> dict[str, str]:
    """The column of each part of a row that has another name than the part, from the fields that read this file."""
    columns: dict[str, str] = {}
    for part, source in _role_fields(entry):
        column = _column_name(source, f"{entry.where}, field {part}")
        if columns.setdefault(part, column) != column:
            raise DataError(
                f"two fields read {part!r} from different columns", where=entry.where, hint="name it in `columns:`"
            )
    return {part: column for part, column in columns.items() if part != column}


def _role_fields(entry: _FileEntry) -> Iterator[tuple[str, dict[str, Any]]]:
    """(part, source) of the fields of this file that are named as a part of a row."""
    FORMATS.load(formats)
    known = {role for name in FORMATS for role in FORMATS.build(name).roles}
    records = [record for record in _as_list(entry.document.get("recordSet")) if isinstance(record, dict)]
    for field in (field for record in records for field in _as_list(record.get("field")) if isinstance(field, dict)):
        source = field.get("source")
        named = {str(field.get("@id", "")).rsplit("/", 1)[-1], plain_text(field.get("name"))} & known
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
        hint = "only a column as it stands is read; name it in `columns:`"
        raise DataError("it is not a plain column", where=where, hint=hint)
    return column


def _reference_id(reference: Any) -> Any:
    return reference.get("@id") if isinstance(reference, dict) else reference
