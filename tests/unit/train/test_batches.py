"""The rows of every step: every row once per epoch, in an order that depends only on the seed."""

from itertools import chain

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.context import Context
from tunesmith.recipe import TrainSettings
from tunesmith.train.batches import plan_steps

LENGTHS = [5, 9, 2, 7, 7, 3, 8]


def plan(context: Context, lengths: list[int] = LENGTHS, **options: object) -> list[list[int]]:
    return plan_steps(lengths, TrainSettings(**options), context)


def test_rows_per_step(context: Context) -> None:
    steps = plan(context, rows_per_step=3)
    assert [len(step) for step in steps] == [3, 3, 1]
    assert sorted(chain(*steps)) == list(range(7))


def test_every_epoch_has_every_row_once_and_its_own_order(context: Context) -> None:
    order = list(chain(*plan(context, rows_per_step=2, epochs=3)))
    epochs = [order[:7], order[7:14], order[14:]]
    assert [sorted(epoch) for epoch in epochs] == [list(range(7))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_step_can_span_two_epochs(context: Context) -> None:
    assert [len(step) for step in plan(context, rows_per_step=4, epochs=2)] == [4, 4, 4, 2]


@pytest.mark.parametrize(("epochs", "rows"), [(0.5, 4), (1.5, 11), (0.01, 1), (2, 14)])
def test_fractional_epochs(context: Context, epochs: float, rows: int) -> None:
    assert sum(len(step) for step in plan(context, rows_per_step=2, epochs=epochs)) == rows


@pytest.mark.parametrize(("epochs", "count", "rows"), [(1.1, 10, 11), (0.07, 100, 7), (2.3, 100, 230)])
def test_fractional_epochs_that_floats_cannot_represent(context: Context, epochs: float, count: int, rows: int) -> None:
    assert sum(map(len, plan(context, [1] * count, rows_per_step=8, epochs=epochs))) == rows


def test_a_step_ends_with_the_row_that_reaches_tokens_per_step(context: Context) -> None:
    steps = plan(context, tokens_per_step=12)
    assert sorted(chain(*steps)) == list(range(7))
    for step in steps[:-1]:
        assert sum(LENGTHS[row] for row in step) >= 12
        assert sum(LENGTHS[row] for row in step[:-1]) < 12


def test_rows_and_tokens_per_step_use_the_same_order(context: Context) -> None:
    by_rows, by_tokens = plan(context, rows_per_step=2), plan(context, tokens_per_step=1)
    assert list(chain(*by_rows)) == list(chain(*by_tokens))
    assert [len(step) for step in by_tokens] == [1] * 7


def test_tokens_per_pass_does_not_change_the_steps(context: Context) -> None:
    assert plan(context, tokens_per_step=12, tokens_per_pass=16) == plan(context, tokens_per_step=12)


def test_the_order_depends_on_both_seeds(context: Context) -> None:
    first = plan(context, rows_per_step=7)
    assert plan(context, rows_per_step=7) == first
    assert plan(context, rows_per_step=7, seed=8) != first
    other = Context(store=context.store, data_root=context.data_root, home=context.home, seed=2)
    assert plan(other, rows_per_step=7) != first


def test_max_steps_truncates_and_does_not_reorder(context: Context) -> None:
    assert plan(context, rows_per_step=2, epochs=5, max_steps=3) == plan(context, rows_per_step=2, epochs=5)[:3]
    assert len(plan(context, rows_per_step=2, max_steps=99)) == 4


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=40),
    epochs=st.integers(1, 3),
    size=st.integers(1, 60),
    by=st.sampled_from(["rows_per_step", "tokens_per_step"]),
)
def test_no_row_is_lost_or_duplicated(context: Context, lengths: list[int], epochs: int, size: int, by: str) -> None:
    steps = plan(context, lengths, epochs=epochs, **{by: size})
    assert all(steps)
    assert sorted(chain(*steps)) == sorted(list(range(len(lengths))) * epochs)
