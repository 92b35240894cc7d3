"""The recipe: one file that says everything a run depends on."""

from typing import Any, get_args

from pydantic import Field

from tunesmith.recipe.base import Settings
from tunesmith.recipe.data import BaseSettings, DataSettings, SourceSettings, TaskName, TaskSettings
from tunesmith.recipe.stages import AuditSettings, EvaluateSettings, ReleaseSettings, Requirement
from tunesmith.recipe.training import TrainSettings


def _allow_task_name(schema: dict[str, Any]) -> None:
    """`task: chat` is short for `task: {type: chat}`; editors must know it."""
    whole = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string", "enum": list(get_args(TaskName))}, whole]


class Recipe(Settings):
    """A whole recipe. Every key of every part is read somewhere; unknown keys are refused."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="names the release")
    base: BaseSettings
    task: TaskSettings = Field(json_schema_extra=_allow_task_name)
    data: DataSettings
    audit: AuditSettings = AuditSettings()
    train: TrainSettings
    evaluate: EvaluateSettings = EvaluateSettings()
    gate: tuple[Requirement, ...] = ()
    release: ReleaseSettings = ReleaseSettings()


class Limits(Settings):
    """Cuts for a trial run; given on the command line, and part of the content key."""

    rows: int | None = Field(default=None, ge=1)
    steps: int | None = Field(default=None, ge=1)


def limited(recipe: Recipe, limits: Limits) -> Recipe:
    """The recipe with every source cut to `rows` rows and training cut to `steps` steps; a smaller cut of its own stays."""
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
