"""`--dry-run`: the audit and every check before training, and what training would do."""

from dataclasses import replace

from tunesmith import train
from tunesmith.artifacts import TrainPreview
from tunesmith.context import Context
from tunesmith.pipeline.look_ahead import look_ahead
from tunesmith.pipeline.runner import run
from tunesmith.preflight import check_recipe
from tunesmith.recipe import Recipe
from tunesmith.recipe.stage_names import StageName


def preview(recipe: Recipe, context: Context, *, until: StageName, again: bool = False) -> TrainPreview:
    """Audit the rows, check every stage up to `until`, and report what training would do. Takes no training step.

    Raises what `run` would raise before its first step. The audit is kept and reused by `run`.
    """
    check_recipe(recipe, until=until, home=context.home, data_root=context.data_root)
    audited = run(recipe, context, until="audit", again=again).audit
    assert audited is not None
    settings = train.resolve_precision(recipe.train)
    recipe, context = recipe.model_copy(update={"train": settings}), replace(context, seed=settings.seed)
    with context.store.lock("look ahead"):
        look_ahead(recipe, audited, context, until=until)
        return train.dry_run(train.TrainInputs(audited.train, recipe.base, recipe.task), settings, context)
