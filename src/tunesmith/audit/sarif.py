"""An audit's findings as SARIF 2.1.0 (OASIS), which code hosts and editors show at the file and line."""

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
from tunesmith.audit.manual import manual
from tunesmith.store import Store

SARIF_SCHEMA_URL: Final = "https://json.schemastore.org/sarif-2.1.0.json"
SARIF_LEVELS: Final = {"info": "note", "warning": "warning", "error": "error"}
MAX_RESULTS: Final = 5_000
"""Results of a run at most: GitHub shows that many of the 25,000 that it takes."""
MAX_FILE_BYTES: Final = 10_000_000
"""Bytes of a file at most; GitHub takes 10 MB after compression, so this is the stricter reading."""
MAX_DESCRIPTION_CHARACTERS: Final = 1_000
"""Characters of a description at most; GitHub shows 1,024."""
CUT_NOTIFICATION_ID: Final = "findings-cut"
FindingRow = Mapping[str, Any]


def sarif_bytes(report: AuditReport, store: Store, *, base: str = "") -> bytes:
    """One run: a rule for every check that found something, and the findings, all of them while they fit.

    `base` is the folder, seen from the root of the repository, that the report's file names start from. Where findings are
    left out the run says so; the most severe stay, and among them the first of every rule. Rows' texts do not appear.
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
    """Each file once, which the standard asks for."""
    told = set()
    for source in sources:
        if (source.path, source.sha256) not in told:
            told.add((source.path, source.sha256))
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
    """A rule with its manual page."""
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
    """The manual page with its headings in bold."""
    lines = []
    for line in text.splitlines():
        head, colon, rest = line.partition(": ")
        known = colon and head in ("What it finds", "Why it matters", "What to do", "Limits", "Reference")
        lines.append(f"\n**{head}**: {rest}" if known else line)
    return "\n".join(lines)


def _invocation(found: int, told: int) -> dict[str, Any]:
    made: dict[str, Any] = {"executionSuccessful": True}
    if told < found:
        text = (
            f"{told:,} of {found:,} findings are listed: code hosts take no more. The most severe are, and of every rule the "
            "first ones. `tunesmith audit --json` names the digest of all."
        )
        made["toolExecutionNotifications"] = [
            {"level": "warning", "descriptor": {"id": CUT_NOTIFICATION_ID, "index": 0}, "message": {"text": text}}
        ]
    return made


def _select_findings(table: pa.Table, count: int) -> pa.Table:
    """At most `count` findings, in the table's order: by level, then the first of each rule, the second, and so on."""
    if table.num_rows <= count:
        return table
    levels = numpy.array([("error", "warning", "note").index(_level(line)) for line in _severities_and_actions(table)])
    _, rule = numpy.unique(table.column("rule").to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    order = numpy.argsort(rule, kind="stable")
    starts = numpy.flatnonzero(numpy.diff(rule[order], prepend=-1))
    rank = numpy.empty(len(rule), dtype=numpy.int64)
    rank[order] = numpy.arange(len(rule)) - numpy.repeat(starts, numpy.diff([*starts, len(rule)]))
    wanted = numpy.sort(numpy.lexsort((rule, rank, levels))[:count])
    return table.take(pa.array(wanted))


def _severities_and_actions(table: pa.Table) -> Iterable[FindingRow]:
    severities, actions = (table.column(name).to_pylist() for name in ("severity", "action"))
    return ({"severity": severity, "action": action} for severity, action in zip(severities, actions, strict=True))


def _level(line: FindingRow) -> str:
    """What stops the run is an error, however mild the defect."""
    return "error" if line["action"] == "block" else SARIF_LEVELS[line["severity"]]


def _results(lines: Iterable[FindingRow], rules: list[str], base: str) -> Iterable[dict[str, Any]]:
    places = {rule: place for place, rule in enumerate(rules)}
    before: Counter[str] = Counter()
    for line in lines:
        mark = _fingerprint(line)
        before[mark] += 1
        result: dict[str, Any] = {
            "ruleId": line["rule"],
            "ruleIndex": places[line["rule"]],
            "level": _level(line),
            "message": {"text": _message(line)},
            "locations": [_location(line["place"], base)],
            "partialFingerprints": {"ruleInFile/v1": f"{mark}:{before[mark]}"},
            "properties": _properties(line),
        }
        if line["other"] is not None:
            result["relatedLocations"] = [
                {"id": 1, **_location(line["other"], base), "message": {"text": "the other row"}}
            ]
        yield result


def _message(line: FindingRow) -> str:
    """The reason; `[...](1)` leads to the other row, so brackets of the reason itself are no link, and braces no argument."""
    told = line["reason"]
    for sign, written in (("\\", "\\\\"), ("[", "\\["), ("]", "\\]"), ("{", "{{"), ("}", "}}")):
        told = told.replace(sign, written)
    return f"{told} ([the other row](1))" if line["other"] is not None else told


def _properties(line: FindingRow) -> dict[str, Any]:
    made: dict[str, Any] = {"action": line["action"], "spans": line["spans"] or []}
    if line["place"]["row_id"]:
        made["rowId"] = line["place"]["row_id"]
    if line["similarity"] is not None:
        made["similarity"] = line["similarity"]
    return made


def _fingerprint(line: FindingRow) -> str:
    """The same for a finding after rows were added elsewhere: rule, file and kinds, no line and no text. Row ids will not do:
    they change with the file and with the store."""
    kinds = sorted({span["kind"] for span in line["spans"] or ()})
    return hashlib.sha256("\0".join([line["rule"], line["place"]["file"], *kinds]).encode()).hexdigest()[:32]


def _location(place: Mapping[str, Any], base: str) -> dict[str, Any]:
    """A whole file is its line 1, since regions begin there."""
    region = {"startLine": max(place["line"], 1)}
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(place["file"], base)}, "region": region}}


def _uri(file: str, base: str) -> str:
    """A reference of RFC 3986: relative to the root of the repository, or a URI where the file lies elsewhere."""
    if "://" in file:
        return quote(file, safe="/:@?&=%+")
    path = PurePosixPath(base) / file.replace("\\", "/")
    told = quote(str(path), safe="/")
    return f"file://{told}" if path.is_absolute() else told


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_DESCRIPTION_CHARACTERS else f"{text[: MAX_DESCRIPTION_CHARACTERS - 1]}…"
