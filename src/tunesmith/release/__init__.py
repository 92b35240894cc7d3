"""Release: the gate, and the signed release folder."""

from tunesmith.release.gate_stage import run_gate
from tunesmith.release.page.render import render_page
from tunesmith.release.preflight import check_release
from tunesmith.release.run import ReleaseInputs, run

__all__ = ["ReleaseInputs", "check_release", "run_gate", "render_page", "run"]
