"""The audit as a page, and the examples that it shows."""

from tunesmith.audit.page.pieces import Piece
from tunesmith.audit.page.render import report_page
from tunesmith.audit.page.samples import Sample, Turn, samples

__all__ = ["Piece", "Sample", "Turn", "report_page", "samples"]
