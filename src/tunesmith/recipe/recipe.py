"""The recipe: one file with everything a run depends on."""

from typing import Any, get_args

from pydantic import Field

from tunesmith.recipe.base import Settings
from tunesmith.recipe.data import BaseSettings, DataSettings, SourceSettings, TaskName, TaskSettings
from tunesmith.recipe.stages import AuditSettings, EvaluateSettings, ReleaseSettings, Requirement
from tunesmith.recipe.training import TrainSettings


def _allow_task_name(schema: dict[str, Any]) -> None:
    """Adds the short form `task: chat`, for `task: {type: chat}`, to the JSON Schema."""
    whole = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string", "enum": list(get_args(TaskName))}, whole]


class Recipe(Settings):
    """A complete recipe. Unknown keys are an error."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="Name of the recipe and of its releases.")
    base: BaseSettings = Field(description="The base model to tune.")
    task: TaskSettings = Field(json_schema_extra=_allow_task_name, description="What the model is for.")
    data: DataSettings = Field(description="Training rows and test rows.")
    audit: AuditSettings = Field(default=AuditSettings(), description="Checks of the rows before training.")
    train: TrainSettings = Field(description="How the base is tuned.")
    evaluate: EvaluateSettings = Field(default=EvaluateSettings(), description="Measurements on the test rows.")
    gate: tuple[Requirement, ...] = Field(default=(), description="Requirements that must all hold before a release.")
    release: ReleaseSettings = Field(default=ReleaseSettings(), description="Where and how the model is released.")


class Limits(Settings):
    """Limits for a trial run, given on the command line; they are part of the content key."""

    rows: int | None = Field(default=None, ge=1, description="Maximum number of rows per source.")
    steps: int | None = Field(default=None, ge=1, description="Maximum number of optimiser steps.")


def limited(recipe: Recipe, limits: Limits) -> Recipe:
    """The recipe with at most `rows` rows per source and `steps` training steps; smaller limits in the recipe are kept."""
    changes: dict[str, object] = {}
    if limits.rows is not None:
        changes["data"] = DataSettings(
            train=tuple(_limit_source(source, limits.rows) for source in recipe.data.train),
            test=tuple(_limit_source(source, limits.rows) for source in recipe.data.test),
            split=recipe.data.split,
        )
    if limits.steps is not None:
        steps = min(limits.steps, recipe.train.max_steps or limits.steps)
        changes["train"] = recipe.train.model_copy(update={"max_steps": steps})
    return recipe.model_copy(update=changes)


def _limit_source(source: SourceSettings, rows: int) -> SourceSettings:
    return source.model_copy(update={"limit": min(rows, source.limit or rows)})
