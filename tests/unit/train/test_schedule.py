"""Learning-rate schedules against hand-computed values, transformers, and properties of every schedule."""

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_scheduler

from tunesmith.recipe import TrainSettings
from tunesmith.train.schedule import learning_rate

SCHEDULES = ("linear", "cosine", "constant", "stable-decay")


def rates(steps: int, **options: Any) -> list[float]:
    settings = TrainSettings(rows_per_step=1, learning_rate=2.0, **options)
    return [learning_rate(settings, step, steps) for step in range(steps)]


def test_linear_with_warmup() -> None:
    assert rates(10, schedule="linear", warmup=0.2) == pytest.approx([1, 2, 2, 1.75, 1.5, 1.25, 1, 0.75, 0.5, 0.25])


def test_linear_to_a_final_rate() -> None:
    assert rates(5, schedule="linear", warmup=0.2, final_rate=0.5) == pytest.approx([2, 2, 1.75, 1.5, 1.25])


def test_constant() -> None:
    assert rates(4, schedule="constant", warmup=0.5) == [1, 2, 2, 2]
    assert rates(3, schedule="constant", warmup=0) == [2, 2, 2]


def test_cosine() -> None:
    half = math.sqrt(0.5)
    assert rates(5, schedule="cosine", warmup=0.2) == pytest.approx([2, 2, 1 + half, 1, 1 - half])
    assert rates(5, schedule="cosine", warmup=0.2, final_rate=0.1)[3] == pytest.approx(2 * (0.1 + 0.9 * 0.5))


def test_stable_decay() -> None:
    assert rates(10, schedule="stable-decay", warmup=0.2, decay=0.4) == pytest.approx(
        [1, 2, 2, 2, 2, 2, 2, 1.5, 1, 0.5]
    )
    assert rates(5, schedule="stable-decay", warmup=0, decay=0.4, final_rate=0.5) == pytest.approx([2, 2, 2, 2, 1.5])


def test_a_decay_longer_than_the_rest_starts_after_the_warmup() -> None:
    long = rates(10, schedule="stable-decay", warmup=0.5, decay=1.0, final_rate=0.1)
    assert long == rates(10, schedule="linear", warmup=0.5, final_rate=0.1)
    assert long == rates(10, schedule="stable-decay", warmup=0.5, decay=0.5, final_rate=0.1)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_without_warmup_the_first_step_has_the_peak_rate(schedule: str, steps: int) -> None:
    learning_rates = rates(steps, schedule=schedule, warmup=0)
    assert learning_rates[0] == 2.0
    assert max(learning_rates) == 2.0
    assert learning_rates == sorted(learning_rates, reverse=True)
    assert learning_rates[-1] > 0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_final_rate_is_reached_one_step_after_the_last(schedule: str) -> None:
    settings = TrainSettings(
        rows_per_step=1, learning_rate=2.0, schedule=schedule, final_rate=1 if schedule == "constant" else 0.25
    )
    assert learning_rate(settings, 40, 40) == pytest.approx(2.0 * settings.final_rate)


def test_a_short_run_still_has_one_warmup_step() -> None:
    assert rates(3, schedule="constant", warmup=0.01) == [2, 2, 2]
    assert rates(1, schedule="cosine", warmup=0.05) == [2]


def theirs(name: str, steps: int, rising: int, **options: Any) -> list[float]:
    """transformers 5.23.0's rate at steps 0 to `steps`, for a peak of 2."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = get_scheduler(
        name, optimizer, num_warmup_steps=rising, num_training_steps=steps, scheduler_specific_kwargs=options
    )
    return [2.0 * scheduler.lr_lambdas[0](step) for step in range(steps + 1)]


@pytest.mark.parametrize(
    ("schedule", "final_rate", "name", "options"),
    [
        ("linear", 0.0, "linear", {}),
        ("linear", 0.25, "polynomial", {"lr_end": 0.5, "power": 1.0}),
        ("cosine", 0.0, "cosine", {}),
        ("cosine", 0.25, "cosine_with_min_lr", {"min_lr_rate": 0.25}),
        ("constant", 0.0, "constant_with_warmup", {}),
        ("stable-decay", 0.0, "warmup_stable_decay", {"num_decay_steps": 12, "decay_type": "linear"}),
        (
            "stable-decay",
            0.25,
            "warmup_stable_decay",
            {"num_decay_steps": 12, "decay_type": "linear", "min_lr_ratio": 0.25},
        ),
    ],
)
def test_schedules_equal_those_of_transformers(
    schedule: str, final_rate: float, name: str, options: dict[str, Any]
) -> None:
    """Behind the rise, step by step. The rise is theirs one step ahead: their first step has a rate of 0 and moves nothing.

    (`warmup_stable_decay` rises from its floor and not from 0, so with a floor only the rest is compared.)
    """
    oracle = theirs(name, 40, 6, **options)
    ours = rates(40, schedule=schedule, warmup=0.15, decay=0.3, final_rate=final_rate)
    assert ours[6:] == pytest.approx(oracle[6:40], rel=1e-12)
    if "min_lr_ratio" not in options:
        assert ours[:6] == pytest.approx(oracle[1:7], rel=1e-12)


shares = st.floats(0, 0.99)
options = st.fixed_dictionaries(
    {
        "schedule": st.sampled_from(SCHEDULES),
        "warmup": st.just(0.0) | shares,
        "decay": st.floats(0.001, 1),
        "final_rate": st.floats(0, 1),
    }
)


@given(options=options, steps=st.integers(1, 300))
def test_rates_rise_then_never_rise_again(options: dict[str, Any], steps: int) -> None:
    learning_rates = rates(steps, **options)
    rising = max(1, round(options["warmup"] * steps)) if options["warmup"] else 0
    peak = 2.0 * (1 + 1e-12)
    assert 0 < min(learning_rates)
    assert max(learning_rates) <= peak
    # A rise as long as the run never comes to its end.
    assert learning_rates[min(rising, steps - 1)] == pytest.approx(2.0)
    assert learning_rates[0] == pytest.approx(2.0 / max(1, rising))
    up, down = learning_rates[:rising], learning_rates[rising:]
    assert all(one < two for one, two in itertools.pairwise(up))
    assert all(one * (1 + 1e-12) >= two for one, two in itertools.pairwise(down))
    assert not down or down[-1] >= 2.0 * options["final_rate"] * (1 - 1e-12)


@given(warmup=shares, decay=st.floats(0.001, 1), final=st.floats(0, 0.99), steps=st.integers(1, 300))
def test_stable_decay_is_constant_then_linear(warmup: float, decay: float, final: float, steps: int) -> None:
    settings = TrainSettings(
        rows_per_step=1, learning_rate=2.0, schedule="stable-decay", warmup=warmup, decay=decay, final_rate=final
    )
    rising = max(1, round(warmup * steps)) if warmup else 0
    learning_rates = [learning_rate(settings, step, steps) for step in range(rising, steps + 1)]
    falling = min(max(1, round(decay * steps)), max(1, steps - rising))
    if rising < steps:
        assert learning_rates[: len(learning_rates) - falling] == [2.0] * (steps - rising - falling + 1)
        assert learning_rates[-1] == pytest.approx(2.0 * final)
        drops = [one - two for one, two in zip(learning_rates[-falling - 1 :], learning_rates[-falling:], strict=False)]
        assert drops == pytest.approx([2.0 * (1 - final) / falling] * falling, abs=1e-12)
