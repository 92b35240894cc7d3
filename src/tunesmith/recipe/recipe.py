"""The recipe: one file that says everything a run depends on."""

from pydantic import Field

from tunesmith.recipe.base import Settings
from tunesmith.recipe.data import BaseSettings, DataSettings, TaskSettings
from tunesmith.recipe.stages import AuditSettings, EvaluateSettings, ReleaseSettings, Requirement, TrainSettings


class Recipe(Settings):
    """A whole recipe. Every key of every part is read somewhere; unknown keys are refused."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="names the release")
    base: BaseSettings
    task: TaskSettings
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
    """The recipe with every source cut to `rows` rows and training cut to `steps` steps."""
    changes: dict[str, object] = {}
    if limits.rows is not None:
        cut = {"limit": limits.rows}
        changes["data"] = DataSettings(
            train=tuple(source.model_copy(update=cut) for source in recipe.data.train),
            test=tuple(source.model_copy(update=cut) for source in recipe.data.test),
        )
    if limits.steps is not None:
        changes["train"] = recipe.train.model_copy(update={"max_steps": limits.steps})
    return recipe.model_copy(update=changes)
