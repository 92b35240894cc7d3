"""The number of threads: the choice from timings, the order of precedence, and a measurement without side effects."""

from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch

from tunesmith.context import SystemClock
from tunesmith.errors import Misuse
from tunesmith.train import threads
from tunesmith.train.threads import (
    ThreadChoice,
    candidate_counts,
    choose_threads,
    effective_cores,
    fewest_fast_threads,
    measure_threads,
    set_threads,
    time_products,
)


@dataclass
class Hand:
    """A clock that the test advances."""

    reading: float = field(default=0.0)

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=timezone.utc)

    def seconds(self) -> float:
        return self.reading


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in threads.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("seconds", "count", "cores"),
    [
        ({2: 0.050, 1: 0.100}, 2, 2.0),  # two real cores
        ({2: 0.098, 1: 0.100}, 1, 1.02),  # two virtual cores on one real one
        ({2: 0.110, 1: 0.100}, 1, 1.0),  # a busy machine: two threads are slower
        ({2: 1.00, 1: 1.15}, 1, 1.15),  # what a second thread adds is not worth it
        ({2: 1.00, 1: 1.16}, 2, 1.16),
        ({8: 0.020, 4: 0.022, 2: 0.045, 1: 0.090}, 4, 4.5),  # eight hyper-threads on four cores
        ({6: 0.030, 4: 0.040, 2: 0.080, 1: 0.160}, 6, 5.33),
        ({1: 0.1}, 1, 1.0),
    ],
)
def test_the_fewest_threads_that_are_about_as_fast_as_the_fastest(
    seconds: dict[int, float], count: int, cores: float
) -> None:
    assert fewest_fast_threads(seconds) == count
    assert effective_cores(seconds) == cores


@pytest.mark.parametrize("seconds", [{}, {2: 0.0, 1: 0.0}, {2: 0.0, 1: 0.1}, {2: 0.1, 1: -0.1}])
def test_without_a_measurement_there_is_no_choice(seconds: dict[int, float]) -> None:
    assert fewest_fast_threads(seconds) is None
    assert effective_cores(seconds) is None


def test_effective_cores_need_a_time_for_one() -> None:
    assert effective_cores({4: 0.1, 2: 0.2}) is None


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, (1,)), (2, (2, 1)), (3, (3, 2, 1)), (6, (6, 4, 2, 1)), (16, (16, 8, 4, 2, 1))]
)
def test_candidate_counts_are_all_cores_and_powers_of_two_below(cores: int, counts: tuple[int, ...]) -> None:
    assert candidate_counts(cores) == counts


def test_counts_alternate_and_the_least_time_is_kept() -> None:
    clock, tried = Hand(), []
    seconds = iter([0.10, 0.30, 0.12, 0.09, 0.11, 0.08])

    def work() -> None:
        tried.append(torch.get_num_threads())
        clock.reading += next(seconds)

    before = torch.get_num_threads()
    assert time_products((2, 1), clock, work) == pytest.approx({2: 0.10, 1: 0.30})
    assert tried == [2, 1]  # 0.4 s have gone: no second round
    clock.reading = 0.0
    seconds = iter([0.10, 0.11, 0.09, 0.15])
    assert time_products((2, 1), clock, work) == pytest.approx({2: 0.09, 1: 0.11})
    seconds = iter([0.3, 0.3])
    time_products((before, before + 1), clock, work)
    assert (tried[-1], torch.get_num_threads()) == (before + 1, before)


def test_a_single_core_is_measured_once() -> None:
    clock, calls = Hand(), []

    def work() -> None:
        calls.append(1)
        clock.reading += 0.01

    time_products((1,), clock, work)
    assert calls == [1]


def test_a_clock_that_does_not_advance_measures_nothing(unset: pytest.MonkeyPatch) -> None:
    choice = measure_threads(None, Hand())
    assert (choice.count, choice.chosen_by, choice.effective, choice.enough) == (choice.nominal, "machine", None, None)


@pytest.mark.parametrize(
    ("cores", "quota", "count"),
    [(2, None, 2), (64, None, 16), (1, None, 1), (8, "400000 100000", 4), (8, "250000 100000", 2), (8, "50000 100000", 1),
     (8, "max 100000", 8), (2, "400000 100000", 2)],
)  # fmt: skip
def test_the_default_is_the_cores_or_the_quota_and_at_most_16(
    cores: int, quota: str | None, count: int, unset: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    unset.setattr(threads.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    unset.setattr(threads, "CGROUP_QUOTA_FILE", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota + "\n")
    assert (choose_threads(None).count, choose_threads(None).chosen_by) == (count, "machine")
    assert choose_threads(None).nominal == (cores if quota in (None, "max 100000") else count)


def test_the_measurement_does_not_change_the_count(unset: pytest.MonkeyPatch) -> None:
    counts = {choose_threads(None).count}
    for seconds in ({2: 1.0, 1: 0.1}, {2: 0.1, 1: 1.0}, {}):
        unset.setattr(threads, "time_products", lambda *_, found=seconds: found)
        counts.add(measure_threads(None, SystemClock()).count)
    assert len(counts) == 1


def test_the_recipe_comes_first(unset: pytest.MonkeyPatch) -> None:
    unset.setenv("OMP_NUM_THREADS", "3")
    unset.setattr(threads, "time_products", lambda *_: pytest.fail("measured"))
    choice = measure_threads(5, SystemClock())
    assert (choice.count, choice.chosen_by) == (5, "recipe")
    before = torch.get_num_threads()
    try:
        set_threads(2)
        assert torch.get_num_threads() == 2
        set_threads(None)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OMP_NUM_THREADS": "3", "TORCH_NUM_THREADS": "5"}, 5),
        ({"OMP_NUM_THREADS": "3", "TORCH_NUM_THREADS": " "}, 3),
    ],
)
def test_the_environment_comes_first_and_nothing_is_measured(
    unset: pytest.MonkeyPatch, environment: dict[str, str], count: int
) -> None:
    for name, value in environment.items():
        unset.setenv(name, value)
    unset.setattr(threads, "time_products", lambda *_: pytest.fail("measured"))
    choice = measure_threads(None, SystemClock())
    assert (choice.count, choice.chosen_by, choice.effective) == (count, "environment", None)
    assert choice.measured() == {"nominal_cores": float(choice.nominal)}


@pytest.mark.parametrize("value", ["many", "0", "-2", "2.5"])
def test_an_environment_value_that_is_not_a_count_is_refused(unset: pytest.MonkeyPatch, value: str) -> None:
    unset.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(Misuse) as caught:
        measure_threads(None, SystemClock())
    assert caught.value.what == f"OMP_NUM_THREADS is not a number of threads: {value!r}"


def test_a_real_measurement_draws_no_random_numbers_and_restores_the_count(unset: pytest.MonkeyPatch) -> None:
    before, state = torch.get_num_threads(), torch.random.get_rng_state()
    clock = SystemClock()
    started = clock.seconds()
    choice = measure_threads(None, clock)
    assert clock.seconds() - started < 5.0  # half a second on an idle machine
    assert choice.chosen_by == "machine"
    assert 1 <= choice.count <= choice.nominal
    assert choice.enough is not None and 1 <= choice.enough <= choice.count
    assert choice.effective is not None and choice.effective >= 1.0
    assert choice.measured() == {"nominal_cores": float(choice.nominal), "effective_cores": choice.effective}
    assert torch.get_num_threads() == before
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (ThreadChoice(2, "machine", 2, 1.96, 2), "threads: 2; cores: 2 (effective at the moment: 2.0)"),
        (
            ThreadChoice(2, "machine", 2, 1.08, 1),
            "threads: 2; cores: 2 (effective at the moment: 1.1); `train: {threads: 1}` would be about as fast at the moment",
        ),
        (ThreadChoice(3, "environment", 8), "threads: 3, as set in the environment"),
        (ThreadChoice(3, "recipe", 8), "threads: 3, as set in the recipe"),
        (ThreadChoice(2, "machine", 2), "threads: 2; cores: 2"),
    ],
)
def test_summary_lines(found: ThreadChoice, line: str) -> None:
    assert found.summary() == line
