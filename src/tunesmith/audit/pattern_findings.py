"""Findings of a pattern pack: one per row, with spans and kinds but never the matched text."""

from collections import Counter
from collections.abc import Iterator

from tunesmith.artifacts import Finding, Span
from tunesmith.audit.audit_table import AuditTable, FindingSource
from tunesmith.detect.patterns import Pattern


def pattern_findings(
    check: FindingSource, corpus: AuditTable, patterns: tuple[Pattern, ...], *, exempt: tuple[str, ...]
) -> Iterator[Finding]:
    """One finding per row with a hit of a kind that is not exempt; an error if any such pattern is severe."""
    severe = {pattern.kind for pattern in patterns if pattern.severity == "error"}
    kinds = {pattern.kind for pattern in patterns} - set(exempt)
    for row, hits in corpus.hits():
        spans = tuple(
            Span(message=message, start=hit.start, end=hit.end, kind=hit.kind)
            for message, hit in hits
            if hit.kind in kinds
        )
        if spans:
            counts = Counter(span.kind for span in spans)
            reason = "holds " + ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
            severity = "error" if severe & set(counts) else "warning"
            yield corpus.finding(check, row, reason, spans=spans, severity=severity)
