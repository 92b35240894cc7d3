"""The audit as a page, and the examples that it shows."""

from tunesmith.audit.page.finding_examples import FindingExample, ShownMessage, finding_examples
from tunesmith.audit.page.highlights import Highlight
from tunesmith.audit.page.render import report_page

__all__ = ["Highlight", "FindingExample", "ShownMessage", "report_page", "finding_examples"]
