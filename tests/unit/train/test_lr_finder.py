"""The range test against a plain loop, and the rates read off hand-made curves."""

import copy
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from tunesmith import train
from tunesmith.artifacts import Example, RatePoint, RateSearch, Row, message
from tunesmith.chat.encode import EncodedSequence
from tunesmith.context import Context
from tunesmith.data.rows import store_dataset
from tunesmith.errors import DataError
from tunesmith.recipe import TaskSettings, TrainSettings
from tunesmith.train import lr_finder
from tunesmith.train.loop import Diverged
from tunesmith.train.lr_finder import RateCurve, find_learning_rate, range_test, rate_at, smoothed_loss, suggest_rate
from tunesmith.train.setup import set_up_training


def settings(**options: Any) -> TrainSettings:
    return TrainSettings(**{"method": "full", "rows_per_step": 4, **options})


def batch(number: int) -> list[EncodedSequence]:
    ids = [tuple((11 * number + 7 * row + 3 * place) % 380 + 9 for place in range(6 + row)) for row in range(3)]
    return [EncodedSequence(f"{number}-{row}", one, ((2, len(one)),)) for row, one in enumerate(ids)]


def curve(smoothed: list[float], stopped: str = "end") -> RateCurve:
    points = [RatePoint(rate=10.0**at, loss=value, smoothed=value) for at, value in enumerate(smoothed)]
    return RateCurve(tuple(points), stopped)


def plain_losses(model: Any, batches: list[list[EncodedSequence]], wanted: TrainSettings) -> list[float]:
    """Reference: row by row through the model's own forward with torch's AdamW; no packing, no code of the finder."""
    model = copy.deepcopy(model)
    model.set_attn_implementation("eager")
    matrices = [value for value in model.parameters() if value.ndim >= 2]
    others = [value for value in model.parameters() if value.ndim < 2]
    groups = [{"params": matrices, "weight_decay": wanted.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, wanted.beta2))
    factor = (10.0 / 1e-7) ** (1 / (len(batches) - 1))
    losses = []
    for step, rows in enumerate(batches):
        total = torch.zeros(())
        for row in rows:
            logits = model(input_ids=torch.tensor([row.ids])).logits[0]
            start, end = row.spans[0]
            total = total + cross_entropy(
                logits[start - 1 : end - 1], torch.tensor(row.ids[start:end]), reduction="sum"
            )
        mean = total / sum(end - start for row in rows for start, end in row.spans)
        optimizer.zero_grad()
        mean.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), wanted.clip)
        for group in optimizer.param_groups:
            group["lr"] = 1e-7 * factor**step
        optimizer.step()
        losses.append(float(mean.detach()))
    return losses


@pytest.mark.parametrize("share", [False, True])
def test_losses_equal_those_of_a_plain_loop(tiny: Any, context: Context, share: bool) -> None:
    wanted = settings(weight_decay=0.1, tokens_per_pass=16)
    batches = [batch(number % 2) for number in range(10)]
    result = range_test(tiny, batches, settings=wanted, share=share, context=context)
    expected = plain_losses(tiny, batches, wanted)
    losses = [point.loss for point in result.points]
    # Rates above some 0.1 throw the weights about, and rounding with them.
    assert losses[:7] == pytest.approx(expected[:7], rel=1e-4)
    assert losses[6] < losses[0] - 1e-3
    assert [point.rate for point in result.points] == pytest.approx(
        [10.0 ** (-7 + 8 * at / 9) for at in range(len(losses))]
    )


@pytest.mark.parametrize("changes", [{}, {"optimizer": "muon"}])
def test_the_range_test_leaves_the_model_unchanged(tiny: Any, context: Context, changes: dict[str, Any]) -> None:
    tiny.eval()
    values = {name: value.clone() for name, value in tiny.state_dict().items()}
    places = [value.data_ptr() for value in tiny.parameters()]
    noise = torch.get_rng_state()
    batches = [batch(number) for number in range(8)]
    one = range_test(tiny, batches, settings=settings(**changes), share=True, context=context)
    assert all(torch.equal(value, values[name]) for name, value in tiny.state_dict().items())
    assert [value.data_ptr() for value in tiny.parameters()] == places
    assert all(value.grad is None for value in tiny.parameters())
    assert torch.equal(torch.get_rng_state(), noise)
    assert not tiny.training
    assert range_test(tiny, batches, settings=settings(**changes), share=True, context=context) == one


def test_weights_are_restored_when_the_range_test_fails(tiny: Any, context: Context) -> None:
    values = {name: value.clone() for name, value in tiny.state_dict().items()}
    beyond = EncodedSequence("bad", (1, 10_000, 2), ((1, 3),))
    with pytest.raises(IndexError):
        range_test(tiny, [batch(0), batch(1), [beyond]], settings=settings(), share=False, context=context)
    assert all(torch.equal(value, values[name]) for name, value in tiny.state_dict().items())


def test_a_loss_above_four_times_its_minimum_ends_the_test(tiny: Any, context: Context) -> None:
    result = range_test(
        tiny, [batch(number % 3) for number in range(60)], settings=settings(), share=True, context=context
    )
    smoothed = [point.smoothed for point in result.points]
    assert (result.stopped, len(smoothed) < 60) == ("rising", True)
    assert smoothed[-1] > 4 * min(smoothed) >= max(smoothed[:-1])
    assert smoothed == pytest.approx(
        [smoothed_loss([point.loss for point in result.points[: at + 1]]) for at in range(len(smoothed))]
    )
    assert suggest_rate(result).diverged == result.points[-2].rate > 0.1


def test_a_loss_that_is_not_finite_after_an_update(
    tiny: Any, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lr_finder, "MIN_RATE", 3e38)
    monkeypatch.setattr(lr_finder, "MAX_RATE", 3e38)
    result = range_test(tiny, [batch(0)] * 3, settings=settings(), share=True, context=context)
    assert (result.stopped, len(result.points)) == ("not-finite", 1)
    assert suggest_rate(result).diverged == 3e38


def test_a_base_with_a_nan_weight_raises(tiny: Any, context: Context) -> None:
    with torch.no_grad():
        tiny.lm_head.weight[5] = float("nan")
    with pytest.raises(Diverged, match="before any step"):
        range_test(tiny, [batch(0)] * 3, settings=settings(), share=True, context=context)


def test_the_smoothed_loss_is_a_bias_corrected_moving_average() -> None:
    losses = [5.0, 4.0, 4.5, 1.0]
    running = 0.0
    for number, loss in enumerate(losses, 1):
        running = 0.9 * running + 0.1 * loss
        assert smoothed_loss(losses[:number]) == pytest.approx(running / (1 - 0.9**number), rel=1e-12)
    assert smoothed_loss([2.0] * 9) == pytest.approx(2.0, rel=1e-12)


def test_rates_grow_by_a_constant_factor() -> None:
    rates = [rate_at(step, 60) for step in range(60)]
    assert (rates[0], rates[-1]) == (1e-7, pytest.approx(10.0, rel=1e-12))
    assert [two / one for one, two in itertools.pairwise(rates)] == pytest.approx([1e8 ** (1 / 59)] * 59)


def test_the_steepest_point_is_before_the_minimum() -> None:
    fall = [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 4.9, 4.5, 3.0, 2.5, 2.4]
    suggestion = suggest_rate(curve([*fall, 4.0, 9.0, 11.0], "rising"))
    assert suggestion.steepest == 1e8  # between 4.5 and 2.5
    assert (suggestion.diverged, suggestion.largest_safe) == (1e12, 1e11)
    assert suggestion.notes == ()


def test_a_fall_from_a_peak_is_not_the_steepest_descent() -> None:
    suggestion = suggest_rate(curve([5.0, 5.0, 5.0, 5.0, 5.0, 4.5, 3.5, 2.5, 2.0, 7.0, 7.9, 3.0, 2.5]))
    assert suggestion.steepest == 1e6


def test_a_flat_or_rising_curve_gives_no_suggestion() -> None:
    flat, risen = suggest_rate(curve([5.0] * 12)), suggest_rate(curve([5.0 + at for at in range(12)], "not-finite"))
    assert (flat.steepest, flat.diverged, flat.largest_safe, len(flat.notes)) == (None, None, None, 2)
    assert (risen.steepest, risen.diverged, risen.largest_safe) == (None, 1e11, 1e10)
    assert risen.notes == ("the loss never fell, so no rate is suggested",)


def test_a_very_short_curve_gives_no_suggestion() -> None:
    assert suggest_rate(curve([5.0], "not-finite")).steepest is None


@pytest.fixture
def inputs(tiny_folder: Path, context: Context) -> train.TrainInputs:
    turns = [(message("user", f"where is order {number}"), message("assistant", f"{number}")) for number in range(12)]
    rows = [
        Row(row_id=f"{number:016x}", file="made", line=number + 1, example=Example(messages=turn))
        for number, turn in enumerate(turns)
    ]
    return train.TrainInputs(store_dataset("made", rows, context.store), str(tiny_folder), TaskSettings(type="chat"))


def test_equal_seeds_give_equal_searches(inputs: train.TrainInputs, context: Context) -> None:
    one, two = (find_learning_rate(inputs, settings(epochs=2), context) for _ in range(2))
    assert one == two
    assert RateSearch.from_bytes(one.canonical()) == one
    assert one.notes[-1] == "the run has 6 steps, so rows came more than once"
    assert find_learning_rate(inputs, settings(epochs=2, seed=8), context).points != one.points


def test_a_rejected_row_raises(inputs: train.TrainInputs, context: Context) -> None:
    shortest = min(len(row.ids) for row in set_up_training(inputs, settings(), context).rows)
    with pytest.raises(
        DataError, match=f"row {10:016x} has {shortest + 2} tokens; the context holds {shortest}"
    ) as caught:
        find_learning_rate(inputs, settings(max_tokens=shortest), context)
    assert caught.value.where == "made:11"
