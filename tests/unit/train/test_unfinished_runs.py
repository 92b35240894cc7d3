"""What a new run prints about unfinished runs."""

from pathlib import Path

import pytest

from tunesmith.artifacts import Provenance
from tunesmith.train.unfinished_runs import describe_unfinished_runs, record_provenance

MINE = Provenance(
    stage="train",
    inputs={"dataset": "sha256:a", "base": "sha256:b"},
    settings="sha256:c",
    code="sha256:d",
    versions={"torch": "2.13.0"},
    seed=7,
)


def stopped(folder: Path, **different: object) -> Path:
    """An unfinished run with another provenance, with a checkpoint at step 12."""
    folder.mkdir(parents=True)
    record_provenance(folder, MINE.model_copy(update=different))
    (folder / "latest").write_text("step-12")
    return folder


@pytest.mark.parametrize(
    ("different", "said"),
    [
        ({"settings": "sha256:x"}, "settings"),
        ({"inputs": {"dataset": "sha256:x", "base": "sha256:b"}}, "data or base"),
        ({"code": "sha256:x"}, "code"),
        ({"versions": {"torch": "2.14.0"}, "code": "sha256:x"}, "code, libraries"),
        ({"settings": "sha256:x", "seed": 8}, "settings, seed"),
    ],
)
def test_differing_fields_are_named(tmp_path: Path, different: dict[str, object], said: str) -> None:
    other = stopped(tmp_path / "other", **different)
    (tmp_path / "mine").mkdir()
    assert list(describe_unfinished_runs(tmp_path / "mine", MINE)) == [
        f"not resumed: the unfinished run at step-12 differs in {said}; it is kept in {other}"
    ]


def test_runs_of_other_rows_and_settings_are_not_mentioned(tmp_path: Path) -> None:
    stopped(tmp_path / "other", settings="sha256:x", inputs={"dataset": "sha256:x", "base": "sha256:b"})
    (tmp_path / "mine").mkdir()
    assert list(describe_unfinished_runs(tmp_path / "mine", MINE)) == []


def test_a_resumed_run_mentions_no_other_run(tmp_path: Path) -> None:
    stopped(tmp_path / "other", settings="sha256:x")
    assert list(describe_unfinished_runs(stopped(tmp_path / "mine"), MINE)) == []


def test_runs_without_a_checkpoint_are_not_mentioned(tmp_path: Path) -> None:
    other = stopped(tmp_path / "other", settings="sha256:x")
    (other / "latest").unlink()
    (tmp_path / "mine").mkdir()
    assert list(describe_unfinished_runs(tmp_path / "mine", MINE)) == []
