"""Release: the gate, and the folder that leaves the house."""

from tunesmith.release.decide import decide_report
from tunesmith.release.run import ReleaseInputs, run

__all__ = ["ReleaseInputs", "decide_report", "run"]
