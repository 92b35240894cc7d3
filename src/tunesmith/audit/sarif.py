"""Audit findings as SARIF 2.1.0 (OASIS), which code hosts and editors display at the file and line."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

import numpy
import pyarrow as pa
from pyarrow import parquet

from tunesmith.artifacts import AuditReport, SourceSummary
from tunesmith.audit.manual import SECTIONS, manual
from tunesmith.store import Store

SARIF_SCHEMA_URL: Final = "https://json.schemastore.org/sarif-2.1.0.json"
SARIF_LEVELS: Final = {"info": "note", "warning": "warning", "error": "error"}
MAX_RESULTS: Final = 5_000
"""Maximum results per run: GitHub displays this many of the 25,000 it accepts."""
MAX_FILE_BYTES: Final = 10_000_000
"""Maximum file size in bytes, uncompressed; GitHub's limit is 10 MB after compression."""
MAX_DESCRIPTION_CHARACTERS: Final = 1_000
"""Maximum length of a description; GitHub displays 1,024 characters."""
CUT_NOTIFICATION_ID: Final = "findings-cut"
FindingRow = Mapping[str, Any]


def sarif_bytes(report: AuditReport, store: Store, *, base: str = "") -> bytes:
    """A SARIF log with one run: a rule for every check with findings, and as many findings as the limits allow.

    `base` is the folder, relative to the repository root, that the report's file names are relative to. When findings are
    omitted the run says so; the most severe are kept, then the first ones of every rule. Row texts do not appear.
    """
    table = parquet.read_table(store.objects.verified(report.all_findings))
    count = min(MAX_RESULTS, table.num_rows)
    while True:
        data = json.dumps(_document(report, table, count, base=base), ensure_ascii=False, indent=1).encode()
        if len(data) <= MAX_FILE_BYTES or count <= 1:
            return data
        count = max(1, count * MAX_FILE_BYTES * 9 // (len(data) * 10))


def _document(report: AuditReport, table: pa.Table, count: int, *, base: str) -> dict[str, Any]:
    rules = sorted(report.found)
    lines = _select_findings(table, count).to_pylist()
    run: dict[str, Any] = {
        "tool": {"driver": _driver(report, rules)},
        "automationDetails": {"id": "tunesmith-audit/"},
        "invocations": [_invocation(table.num_rows, len(lines))],
        "artifacts": list(_artifacts(report.sources, base)),
        "results": list(_results(lines, rules, base)),
        "properties": {"findings": table.num_rows, "report": report.digest()},
    }
    return {"$schema": SARIF_SCHEMA_URL, "version": "2.1.0", "runs": [run]}


def _artifacts(sources: Iterable[SourceSummary], base: str) -> Iterable[dict[str, Any]]:
    """Each file once, as the standard requires."""
    listed = set()
    for source in sources:
        if (source.path, source.sha256) not in listed:
            listed.add((source.path, source.sha256))
            hashes = {"sha-256": source.sha256.removeprefix("sha256:")}
            yield {"location": {"uri": _uri(source.path, base)}, "hashes": hashes, "properties": {"rows": source.rows}}


def _driver(report: AuditReport, rules: Iterable[str]) -> dict[str, Any]:
    return {
        "name": "tunesmith audit",
        "semanticVersion": version("tunesmith"),
        "rules": [_rule(name, report.found[name]) for name in rules],
        "notifications": [{"id": CUT_NOTIFICATION_ID, "shortDescription": {"text": "Not all findings are listed."}}],
    }


def _rule(name: str, count: int) -> dict[str, Any]:
    """A SARIF rule with the check's manual page."""
    page = manual(name)
    matters = page.matters or page.title
    return {
        "id": name,
        "name": "".join(part.capitalize() for part in name.split("-")),
        "shortDescription": {"text": _shorten(page.title)},
        "fullDescription": {"text": _shorten(matters[0].upper() + matters[1:])},
        "help": {"text": page.text or page.title, "markdown": _markdown(page.text) or page.title},
        "defaultConfiguration": {"level": "warning"},
        "properties": {"tags": ["data"], "findings": count},
    }


def _markdown(text: str) -> str:
    """The manual page with bold headings."""
    lines = []
    for line in text.splitlines():
        head, colon, rest = line.partition(": ")
        lines.append(f"\n**{head}**: {rest}" if colon and head in SECTIONS else line)
    return "\n".join(lines)


def _invocation(findings: int, listed: int) -> dict[str, Any]:
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if listed < findings:
        text = (
            f"{listed:,} of {findings:,} findings are listed, the limit of code hosts: the most severe, and the first ones of "
            "every rule. `tunesmith audit --json` prints the digest of all findings."
        )
        invocation["toolExecutionNotifications"] = [
            {"level": "warning", "descriptor": {"id": CUT_NOTIFICATION_ID, "index": 0}, "message": {"text": text}}
        ]
    return invocation


def _select_findings(table: pa.Table, count: int) -> pa.Table:
    """At most `count` findings in table order, chosen by level, then the first of each rule, the second, and so on."""
    if table.num_rows <= count:
        return table
    levels = numpy.array([("error", "warning", "note").index(_level(line)) for line in _severities_and_actions(table)])
    _, rule = numpy.unique(table.column("rule").to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    order = numpy.argsort(rule, kind="stable")
    starts = numpy.flatnonzero(numpy.diff(rule[order], prepend=-1))
    rank = numpy.empty(len(rule), dtype=numpy.int64)
    rank[order] = numpy.arange(len(rule)) - numpy.repeat(starts, numpy.diff([*starts, len(rule)]))
    selected = numpy.sort(numpy.lexsort((rule, rank, levels))[:count])
    return table.take(pa.array(selected))


def _severities_and_actions(table: pa.Table) -> Iterable[FindingRow]:
    severities, actions = (table.column(name).to_pylist() for name in ("severity", "action"))
    return ({"severity": severity, "action": action} for severity, action in zip(severities, actions, strict=True))


def _level(line: FindingRow) -> str:
    """A blocking finding is an error whatever its severity."""
    return "error" if line["action"] == "block" else SARIF_LEVELS[line["severity"]]


def _results(lines: Iterable[FindingRow], rules: list[str], base: str) -> Iterable[dict[str, Any]]:
    rule_index = {rule: index for index, rule in enumerate(rules)}
    occurrences: Counter[str] = Counter()
    for line in lines:
        fingerprint = _fingerprint(line)
        occurrences[fingerprint] += 1
        result: dict[str, Any] = {
            "ruleId": line["rule"],
            "ruleIndex": rule_index[line["rule"]],
            "level": _level(line),
            "message": {"text": _message(line)},
            "locations": [_location(line["place"], base)],
            "partialFingerprints": {"ruleInFile/v1": f"{fingerprint}:{occurrences[fingerprint]}"},
            "properties": _properties(line),
        }
        if line["other"] is not None:
            result["relatedLocations"] = [
                {"id": 1, **_location(line["other"], base), "message": {"text": "the other row"}}
            ]
        yield result


def _message(line: FindingRow) -> str:
    """The reason, with `[...](1)` linking to the other row. Brackets and braces of the reason itself are escaped."""
    text = line["reason"]
    for character, escaped in (("\\", "\\\\"), ("[", "\\["), ("]", "\\]"), ("{", "{{"), ("}", "}}")):
        text = text.replace(character, escaped)
    return f"{text} ([the other row](1))" if line["other"] is not None else text


def _properties(line: FindingRow) -> dict[str, Any]:
    properties: dict[str, Any] = {"action": line["action"], "spans": line["spans"] or []}
    if line["place"]["row_id"]:
        properties["rowId"] = line["place"]["row_id"]
    if line["similarity"] is not None:
        properties["similarity"] = line["similarity"]
    return properties


def _fingerprint(line: FindingRow) -> str:
    """A fingerprint of rule, file and kinds that stays stable when other rows are added. Row ids are not used: they change with
    the file and the store."""
    kinds = sorted({span["kind"] for span in line["spans"] or ()})
    return hashlib.sha256("\0".join([line["rule"], line["place"]["file"], *kinds]).encode()).hexdigest()[:32]


def _location(place: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Location of a finding; a finding about a whole file is put at line 1, where SARIF regions start."""
    region = {"startLine": max(place["line"], 1)}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(place["file"], base)}, "region": region}}


def _uri(file: str, base: str) -> str:
    """An RFC 3986 reference relative to the repository root, or an absolute URI for a file elsewhere."""
    if "://" in file:
        return quote(file, safe="/:@?&=%+")
    path = PurePosixPath(base) / file.replace("\\", "/")
    quoted = quote(str(path), safe="/")
    return f"file://{quoted}" if path.is_absolute() else quoted


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_DESCRIPTION_CHARACTERS else f"{text[: MAX_DESCRIPTION_CHARACTERS - 1]}…"
