"""The page of an audit: one self-contained HTML file that someone who knows nothing of the tool can follow."""

from pathlib import Path
from typing import Final

from tunesmith.artifacts import AuditReport
from tunesmith.audit.page import figures, story
from tunesmith.audit.page.samples import samples
from tunesmith.pages import environment, style
from tunesmith.store import Store

_HERE: Final = Path(__file__).parent
EXAMPLES: Final = 4
"""Examples of each rule."""


def report_page(report: AuditReport, store: Store, *, name: str, quarantine: str | None = None) -> str:
    """The report as HTML, with examples read back from the store that made it. The same report gives the same bytes.

    `quarantine` names the file beside the page with the rows that were taken out, where one was written. The page shows
    texts of rows, so it is for those who may read them; personal data and secrets are masked in it.
    """
    rules = story.rules(report, samples(report, store, each=EXAMPLES))
    values = {
        "name": name,
        "report": report,
        "headline": story.headline(report),
        "tiles": story.tiles(report),
        "rules": rules,
        "ran": story.ran(report),
        "off": story.off(report),
        "quarantine": quarantine,
        "looks": figures.looks(report),
        "style": style(_HERE / "audit.css"),
        "counted": story.counted,
    }
    return environment(_HERE).get_template("audit.html.j2").render(values)
