"""A trial run is the recipe cut short, never made longer."""

import pytest
from pydantic import ValidationError

from tunesmith.recipe import DataSettings, Limits, Recipe, SplitSettings, limited, parse_recipe


def recipe(limit: int | None = None, max_steps: int | None = None) -> Recipe:
    return parse_recipe(
        {
            "name": "desk",
            "base": "tunesmith/pebble",
            "task": "chat",
            "data": {"train": [{"path": "a", "limit": limit}, {"path": "b"}], "test": [{"path": "c"}]},
            "train": {"rows_per_step": 4, "max_steps": max_steps},
        }
    )


def test_no_limits_change_nothing() -> None:
    assert limited(recipe(5), Limits()) == recipe(5)


def test_rows_cut_every_source_and_nothing_else() -> None:
    cut = limited(recipe(), Limits(rows=64))
    assert [source.limit for source in (*cut.data.train, *cut.data.test)] == [64, 64, 64]
    assert cut.model_copy(update={"data": recipe().data}) == recipe()


def test_steps_cut_training_and_nothing_else() -> None:
    cut = limited(recipe(), Limits(steps=3))
    assert cut.train.max_steps == 3
    assert cut.model_copy(update={"train": recipe().train}) == recipe()


def test_a_smaller_cut_of_the_recipe_stays() -> None:
    cut = limited(recipe(limit=10, max_steps=2), Limits(rows=64, steps=9))
    assert [source.limit for source in cut.data.train] == [10, 64]
    assert cut.train.max_steps == 2


@pytest.mark.parametrize("limits", [{"rows": 0}, {"steps": 0}, {"row": 1}])
def test_limits_are_checked(limits: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Limits(**limits)


def test_a_trial_run_divides_its_rows_too() -> None:
    whole = recipe()
    divided = DataSettings(train=whole.data.train, split=SplitSettings(test=0.1, by="subject"))
    assert limited(whole.model_copy(update={"data": divided}), Limits(rows=64)).data.split == divided.split
