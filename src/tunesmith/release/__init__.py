"""Release: the gate, and the folder that leaves the house."""

from tunesmith.release.decide import decide_report
from tunesmith.release.page.render import render_page
from tunesmith.release.preflight import check_release
from tunesmith.release.run import ReleaseInputs, run

__all__ = ["ReleaseInputs", "check_release", "decide_report", "render_page", "run"]
