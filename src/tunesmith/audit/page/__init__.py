"""The audit report as an HTML page, and the examples it shows."""

from tunesmith.audit.page.finding_examples import FindingExample, ShownMessage, finding_examples
from tunesmith.audit.page.highlights import Highlight
from tunesmith.audit.page.render import report_page

__all__ = ["Highlight", "FindingExample", "ShownMessage", "report_page", "finding_examples"]
