"""Audit: what is wrong with the rows, which row, by which rule, against which other row; then clean rows and quarantine."""

from tunesmith.audit.check import check_class, check_ids
from tunesmith.audit.page import report_page, samples
from tunesmith.audit.plan import references_of
from tunesmith.audit.run import audit_files, blocked, run
from tunesmith.audit.sarif import sarif_bytes

__all__ = [
    "audit_files",
    "blocked",
    "check_class",
    "check_ids",
    "references_of",
    "report_page",
    "run",
    "samples",
    "sarif_bytes",
]
