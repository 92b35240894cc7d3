"""In-toto Statement v1 as plain dicts: a predicate about subjects (name and SHA-256).

Source: in-toto/attestation, spec/v1/statement.md and spec/predicates/release.md. Dicts are used because the protobuf classes
turn 17 into 17.0. RFC 8785 does not allow integers beyond 2^53; write those as strings.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from tunesmith.artifacts import canonical_bytes
from tunesmith.errors import IntegrityBroken
from tunesmith.trust.strict_json import parse_object, require_field

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
RELEASE_TYPE: Final = "https://in-toto.io/attestation/release/v0.1"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PURL = re.compile(r"pkg:generic/([^@/?#]+)@([1-9][0-9]*)")

Statement = dict[str, Any]


def make_statement(subjects: Mapping[str, str], *, predicate_type: str, predicate: Mapping[str, Any]) -> Statement:
    """Statement about `subjects` {name: SHA-256 hex, with or without `sha256:`}, sorted by name."""
    subject_entries = [
        {"name": name, "digest": {"sha256": subjects[name].removeprefix("sha256:")}} for name in sorted(subjects)
    ]
    return {
        "_type": STATEMENT_TYPE,
        "subject": subject_entries,
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }


def release_statement(subjects: Mapping[str, str], *, name: str, version: int) -> Statement:
    """Statement that binds the package URL (name and version) of a release to its files."""
    purl = f"pkg:generic/{quote(name, safe='')}@{version}"
    return make_statement(subjects, predicate_type=RELEASE_TYPE, predicate={"purl": purl})


def statement_bytes(statement: Statement) -> bytes:
    """RFC 8785 canonical bytes. Raises ValueError on NaN and on integers beyond 2^53."""
    return canonical_bytes(statement)


def parse_statement(payload: bytes, *, where: str) -> Statement:
    """Parse a statement whose signature was verified. Raises IntegrityBroken when it is not a Statement v1."""
    statement = parse_object(payload, where=where)
    if statement.get("_type") != STATEMENT_TYPE:
        raise IntegrityBroken("not an in-toto Statement v1", where=where)
    require_field(statement, "predicateType", str, where=where)
    require_field(statement, "predicate", dict, where=where)
    statement_subjects(statement, where=where)
    return statement


def statement_subjects(statement: Statement, *, where: str) -> dict[str, str]:
    """{name: SHA-256 hex} of the subjects. Raises IntegrityBroken on a duplicate name or an invalid digest."""
    subjects: dict[str, str] = {}
    for subject in require_field(statement, "subject", list, where=where):
        name = require_field(subject, "name", str, where=where)
        digest = require_field(require_field(subject, "digest", dict, where=where), "sha256", str, where=where)
        if name in subjects or not _SHA256.fullmatch(digest):
            raise IntegrityBroken(f"subject {name!r} is listed twice or has no SHA-256 digest", where=where)
        subjects[name] = digest
    return subjects


def release_name_and_version(statement: Statement, *, where: str) -> tuple[str, int]:
    """(name, version) of a release statement. Raises IntegrityBroken for statements of another type."""
    if statement["predicateType"] != RELEASE_TYPE:
        raise IntegrityBroken("not a release statement", where=where)
    purl_match = _PURL.fullmatch(require_field(statement["predicate"], "purl", str, where=where))
    if purl_match is None:
        raise IntegrityBroken("the release statement has no valid name and version", where=where)
    return unquote(purl_match[1]), int(purl_match[2])
