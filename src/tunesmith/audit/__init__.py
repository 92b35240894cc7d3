"""Audit: what is wrong with the rows, which row, by which rule, against which other row; then clean rows and quarantine."""

from tunesmith.audit.check import check_class, check_ids
from tunesmith.audit.run import audit_files, blocked, run

__all__ = ["audit_files", "blocked", "check_class", "check_ids", "run"]
