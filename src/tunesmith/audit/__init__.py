"""Audit: find defects in the rows, report each with file, line and rule, then write clean rows and a quarantine."""

from tunesmith.audit.check import check_class, check_ids
from tunesmith.audit.check_plan import check_references
from tunesmith.audit.page import finding_examples, report_page
from tunesmith.audit.run import audit_files, blocking_findings, run
from tunesmith.audit.sarif import sarif_bytes

__all__ = [
    "audit_files",
    "blocking_findings",
    "check_class",
    "check_ids",
    "check_references",
    "report_page",
    "run",
    "finding_examples",
    "sarif_bytes",
]
