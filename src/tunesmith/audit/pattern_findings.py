"""Findings of a pattern pack: one a row, with the spans and the kinds, never with what stands there."""

from collections import Counter
from collections.abc import Iterator

from tunesmith.artifacts import Finding, Span
from tunesmith.audit.audit_table import AuditTable, FindingSource
from tunesmith.detect.patterns import Pattern


def pattern_findings(
    check: FindingSource, corpus: AuditTable, patterns: tuple[Pattern, ...], *, exempt: tuple[str, ...]
) -> Iterator[Finding]:
    """A finding for every row with a hit whose kind is not exempt; an error when a pattern of one is severe."""
    severe = {pattern.kind for pattern in patterns if pattern.severity == "error"}
    wanted = {pattern.kind for pattern in patterns} - set(exempt)
    for row, hits in corpus.hits():
        spans = tuple(
            Span(message=message, start=hit.start, end=hit.end, kind=hit.kind)
            for message, hit in hits
            if hit.kind in wanted
        )
        if spans:
            kinds = Counter(span.kind for span in spans)
            reason = "holds " + ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items()))
            severity = "error" if severe & set(kinds) else "warning"
            yield corpus.finding(check, row, reason, spans=spans, severity=severity)
