"""Every metric has a folder of cases."""

from pathlib import Path

from tunesmith.scoring import metric_ids


def test_every_metric_has_cases_and_every_folder_a_metric() -> None:
    here = Path(__file__).parent
    folders = {path.parent.name for path in here.glob("*/test_*.py")}
    assert folders == set(metric_ids())
