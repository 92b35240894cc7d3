"""What an encoder would pass over in a recipe or a row is refused, with the key or the row."""

from typing import Any

import pytest

from tunesmith.artifacts import Example, Row, message
from tunesmith.errors import DataError, RecipeError
from tunesmith.models.tasks import build_task, padded
from tunesmith.recipe import TaskSettings, TrainSettings


@pytest.mark.parametrize(
    ("key", "value"), [("instruction", "Sort the mail."), ("chat_template", "plain"), ("thinking", False)]
)
def test_keys_of_the_task_that_only_a_decoder_reads(key: str, value: Any) -> None:
    train = TrainSettings(rows_per_step=1)
    build_task(TaskSettings(type="classify"), "encoder").check(train)
    with pytest.raises(RecipeError, match="an encoder reads only the text of a row") as told:
        build_task(TaskSettings.model_validate({"type": "classify", key: value}), "encoder").check(train)
    assert told.value.where == f"task.{key}"


@pytest.mark.parametrize(("weight", "fits"), [(None, True), (1.0, True), (0.0, False), (2.0, False)])
def test_an_answer_with_a_weight_of_its_own(weight: float | None, fits: bool) -> None:
    said = (message("user", "x"), message("assistant", "a").model_copy(update={"weight": weight}))
    row = Row(row_id="1", file="made", line=7, example=Example(messages=said))
    if fits:
        padded.check_no_weight(row)
        return
    with pytest.raises(DataError, match="every row counts alike") as told:
        padded.check_no_weight(row)
    assert told.value.where == "made:7"
