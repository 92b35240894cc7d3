"""Render the audit page: one self-contained HTML file, readable without knowing the tool."""

from pathlib import Path
from typing import Final

from tunesmith.artifacts import AuditReport
from tunesmith.audit.page import figures, summary
from tunesmith.audit.page.finding_examples import finding_examples
from tunesmith.pages import page_style, template_environment
from tunesmith.store import Store

_HERE: Final = Path(__file__).parent
EXAMPLES_PER_RULE: Final = 4
"""Number of examples shown for each rule."""


def report_page(report: AuditReport, store: Store, *, name: str, quarantine: str | None = None) -> str:
    """The report as HTML, with examples read from the store. The same report gives the same bytes.

    `quarantine` is the name of the file next to the page with the dropped rows, if one was written. The page shows row texts, so
    share it only with people who may read them; personal data and secrets are masked.
    """
    rules = summary.rule_summaries(report, finding_examples(report, store, each=EXAMPLES_PER_RULE))
    values = {
        "name": name,
        "report": report,
        "headline": summary.headline(report),
        "tiles": summary.tiles(report),
        "rules": rules,
        "ran": summary.checks_that_ran(report),
        "off": summary.checks_switched_off(report),
        "quarantine": quarantine,
        "looks": figures.row_charts(report),
        "style": page_style(_HERE / "audit.css"),
        "counted": summary.count_phrase,
    }
    return template_environment(_HERE).get_template("audit.html.j2").render(values)
