"""Learning rates worked out by hand."""

import math

import pytest

from tunesmith.recipe import TrainSettings
from tunesmith.train.schedule import learning_rate


def rates(steps: int, **options: object) -> list[float]:
    settings = TrainSettings(rows_per_step=1, learning_rate=2.0, **options)
    return [learning_rate(settings, step, steps) for step in range(steps)]


def test_linear_with_warmup() -> None:
    assert rates(10, schedule="linear", warmup=0.2) == pytest.approx([1, 2, 2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.25])


def test_linear_to_a_floor() -> None:
    assert rates(5, schedule="linear", warmup=0.2, final_rate=0.5) == pytest.approx([2, 2, 1.75, 1.5, 1.25])


def test_constant() -> None:
    assert rates(4, schedule="constant", warmup=0.5) == [1, 2, 2, 2]
    assert rates(3, schedule="constant", warmup=0) == [2, 2, 2]


def test_cosine() -> None:
    half = math.sqrt(0.5)
    assert rates(5, schedule="cosine", warmup=0.2) == pytest.approx([2, 2, 1 + half, 1, 1 - half])
    assert rates(5, schedule="cosine", warmup=0.2, final_rate=0.1)[3] == pytest.approx(2 * (0.1 + 0.9 * 0.5))


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_without_warmup_the_first_step_is_the_peak_and_none_is_above_it(schedule: str, steps: int) -> None:
    found = rates(steps, schedule=schedule, warmup=0)
    assert found[0] == 2.0
    assert max(found) == 2.0
    assert found == sorted(found, reverse=True)
    assert found[-1] > 0


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_one_step_after_the_last_is_the_final_rate(schedule: str) -> None:
    settings = TrainSettings(
        rows_per_step=1, learning_rate=2.0, schedule=schedule, final_rate=1 if schedule == "constant" else 0.25
    )
    assert learning_rate(settings, 40, 40) == pytest.approx(2.0 * settings.final_rate)


def test_a_short_run_still_rises_once() -> None:
    assert rates(3, schedule="constant", warmup=0.01) == [2, 2, 2]
    assert rates(1, schedule="cosine", warmup=0.05) == [2]
