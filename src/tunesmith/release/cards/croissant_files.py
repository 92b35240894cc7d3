"""Files in croissant.json: one FileObject and one RecordSet per source, with its stated rights."""

import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from tunesmith.artifacts import SourceSummary
from tunesmith.data import formats
from tunesmith.data.format import FORMATS
from tunesmith.release.cards.declarations import file_value
from tunesmith.release.cards.marked_values import MISSING, MarkedValue, declared, measured

NAMESPACE: Final = "urn:tunesmith:croissant:"
SPDX_LICENSES: Final = "https://spdx.org/licenses/"
XSD_DATE: Final = "http://www.w3.org/2001/XMLSchema#date"
MEDIA_TYPES: Final = {
    ".jsonl": "application/jsonlines",
    ".ndjson": "application/jsonlines",
    ".json": "application/json",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".parquet": "application/x-parquet",
    ".arrow": "application/vnd.apache.arrow.file",
    ".gz": "application/gzip",
    ".zst": "application/zstd",
}
LIST_COLUMNS: Final = ("tokens", "tags", "answers")
"""Columns that hold a list of strings."""


def file_objects(sources: Sequence[SourceSummary]) -> list[dict[str, Any]]:
    """FileObjects `file-1`, `file-2`, ... in reading order."""
    return [_file_object(f"file-{number}", source) for number, source in enumerate(sources, 1)]


def record_sets(sources: Sequence[SourceSummary]) -> list[dict[str, Any]]:
    """RecordSets `rows-1`, `rows-2`, ... with the columns read from each file."""
    return [_record_set(number, source) for number, source in enumerate(sources, 1)]


def media_types(path: str) -> list[str]:
    """Media types from the file name: of the rows, then of the compression."""
    types = [MEDIA_TYPES[suffix.lower()] for suffix in PurePosixPath(path).suffixes if suffix.lower() in MEDIA_TYPES]
    return types[-2:]


def license_value(expression: str | None) -> MarkedValue:
    """SPDX expression as a schema.org license: the SPDX page of an id, else a CreativeWork. AND terms become a list."""
    if expression is None or not expression.strip():
        return declared(None)
    return declared([_license_page(part) for part in _conjuncts(expression.strip())])


def _conjuncts(expression: str) -> list[str]:
    """Operands of the top-level AND."""
    parts, depth = [""], 0
    for word in re.split(r"( AND |[()])", expression):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == " AND " and depth == 0:
            parts.append("")
        else:
            parts[-1] += word
    return parts


def _license_page(part: str) -> str | dict[str, str]:
    plain = re.fullmatch(r"[A-Za-z0-9.+-]+", part) and not part.startswith(("LicenseRef-", "NONE", "NOASSERTION"))
    return f"{SPDX_LICENSES}{part}" if plain else {"@type": "CreativeWork", "name": part}


def _file_object(name: str, source: SourceSummary) -> dict[str, Any]:
    author, generator = file_value(source, "author"), file_value(source, "generator")
    collected, origin = file_value(source, "collected"), file_value(source, "origin")
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": measured(PurePosixPath(source.path).name),
        "contentUrl": measured(quote(_public_path(source.path), safe="/")),
        "contentSize": MISSING if source.bytes is None else measured(f"{source.bytes} B"),
        "encodingFormat": measured(media_types(source.path)),
        "sha256": measured(source.sha256.removeprefix("sha256:")),
        "license": license_value(file_value(source, "license")),
        "inLanguage": declared(file_value(source, "language")),
        "expires": declared(file_value(source, "expires")),
        "usageInfo": _usage_offer(source),
        "prov:wasDerivedFrom": _origin_entity(origin),
        "prov:wasGeneratedBy": _collection_activity(collected),
        "prov:wasAttributedTo": _agents(author, generator),
        "tunesmith:split": declared(source.split),
        "tunesmith:format": measured(source.format),
        "tunesmith:columns": declared(source.columns),
        "tunesmith:rows": measured(source.rows),
        "tunesmith:stated": measured(source.stated) if source.stated else MISSING,
        "tunesmith:source": declared(file_value(source, "source")),
        "tunesmith:sourceClass": declared(file_value(source, "source_class")),
        "tunesmith:basis": declared(file_value(source, "basis")),
        "tunesmith:subject": declared(source.subject),
    }


def _public_path(path: str) -> str:
    """Relative paths unchanged, absolute paths reduced to the file name, so that no local folder is published."""
    return PurePosixPath(path).name if PurePosixPath(path).is_absolute() else path


def _origin_entity(origin: str | None) -> MarkedValue:
    return declared(None if not origin else {"@type": "prov:Entity", "prov:label": origin})


def _collection_activity(day: str | None) -> MarkedValue:
    return declared(
        None if not day else {"@type": "prov:Activity", "prov:label": "Collection", "prov:endedAtTime": day}
    )


def _agents(author: str | None, generator: str | None) -> MarkedValue:
    agents = [("prov:Agent", author), ("prov:SoftwareAgent", generator)]
    return declared([{"@type": data_type, "prov:label": name} for data_type, name in agents if name])


def _usage_offer(source: SourceSummary) -> MarkedValue:
    """Permitted purpose and expiry as an ODRL offer. The licence is a property of its own."""
    purpose, expires = file_value(source, "purpose"), file_value(source, "expires")
    constraints = [
        *([] if not purpose else [_constraint("purpose", "eq", purpose)]),
        *([] if not expires else [_constraint("dateTime", "lteq", {"@type": XSD_DATE, "@value": expires})]),
    ]
    permission = {"@type": "odrl:Permission", "odrl:action": {"@id": "odrl:use"}, "odrl:constraint": constraints}
    offer = {"@type": ["CreativeWork", "odrl:Offer"], "name": "Terms of use", "odrl:permission": permission}
    return declared(offer if constraints else None)


def _constraint(left: str, operator: str, right: Any) -> dict[str, Any]:
    return {
        "@type": "odrl:Constraint",
        "odrl:leftOperand": {"@id": f"odrl:{left}"},
        "odrl:operator": {"@id": f"odrl:{operator}"},
        "odrl:rightOperand": right,
    }


def _record_set(number: int, source: SourceSummary) -> dict[str, Any]:
    name = f"rows-{number}"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "description": measured(f"The columns of {PurePosixPath(source.path).name} that were read."),
        "field": [_field(name, part, source, number) for part in _column_names(source)],
    }


def _column_names(source: SourceSummary) -> tuple[str, ...]:
    """Columns required by the format, then those mapped in the recipe."""
    FORMATS.load(formats)
    roles = FORMATS.build(source.format).roles if source.format in FORMATS else ()
    return tuple(dict.fromkeys((*roles, *source.columns)))


def _field(rows: str, part: str, source: SourceSummary, number: int) -> dict[str, Any]:
    name, source_spec = f"{rows}/{part}", _field_source(part, source, number)
    if part == "messages":
        sub_fields = [_message_field(name, key, source_spec) for key in ("role", "content")]
        return {
            "@type": "cr:Field",
            "@id": name,
            "isArray": True,
            "arrayShape": "-1",
            "source": source_spec,
            "subField": sub_fields,
        }
    data_type = ["sc:Text", "cr:Label"] if part == "label" else "sc:Text"
    listed = {"isArray": True, "arrayShape": "-1"} if part in LIST_COLUMNS else {}
    return {"@type": "cr:Field", "@id": name, "dataType": data_type, **listed, "source": source_spec}


def _message_field(messages: str, key: str, source_spec: dict[str, Any]) -> dict[str, Any]:
    """Field for one key of each message."""
    source = {**source_spec, "transform": {"jsonPath": key}}
    return {"@type": "cr:Field", "@id": f"{messages}/{key}", "dataType": "sc:Text", "source": source}


def _field_source(part: str, source: SourceSummary, number: int) -> dict[str, Any]:
    """Where a field is stored: in a column, or in a JSON array under a key of each object."""
    column = source.columns.get(part, part)
    if "application/json" in media_types(source.path):
        path = (
            f"$[*].{column}"
            if re.fullmatch(r"[A-Za-z_]\w*", column)
            else f"$[*].{json.dumps(column, ensure_ascii=False)}"
        )
        return {"fileObject": {"@id": f"file-{number}"}, "extract": {"jsonPath": measured(path)}}
    return {"fileObject": {"@id": f"file-{number}"}, "extract": {"column": measured(column)}}
