"""What evaluation, gate and release would refuse, found before the first training step."""

from tunesmith import evaluate, release, train
from tunesmith.artifacts import AuditReport
from tunesmith.context import Context
from tunesmith.models.bases.prepare import prepare_base
from tunesmith.models.reader import open_reader
from tunesmith.preflight import raise_faults
from tunesmith.recipe import NewBase, Recipe
from tunesmith.recipe.stage_names import StageName


def look_ahead(
    recipe: Recipe,
    audited: AuditReport,
    context: Context,
    *,
    until: StageName,
) -> None:
    """Check the stages after training, as far as the clean rows and the base allow. Trains nothing.

    until: the name of the last stage that will run.

    Raises RecipeError with every fault of the rows; and what release and the self-checks of evaluation raise.
    """
    if until in ("audit", "train"):
        return
    whole_context = recipe.train.model_copy(update={"max_tokens": None})
    reader = open_reader(recipe.base, recipe.task, context, train=whole_context)
    policy = recipe.gate if until in ("gate", "release") else ()
    precision = train.precision_of(recipe.train)
    ahead = evaluate.EvaluationPlan(audited.train, audited.test, recipe.task, policy, reader, precision)
    raise_faults(evaluate.find_row_faults(ahead, recipe.evaluate, context))
    if until == "release":
        release.check_release(recipe, audited, context)
    if not isinstance(recipe.base, NewBase):
        folder = context.store.checkout(prepare_base(recipe.base, recipe.task, context, train=recipe.train).tree)
        evaluate.check_base(
            folder,
            ahead,
            recipe.evaluate,
            context=context,
            tuned=lambda model: train.with_random_adapter(model, recipe.train, context),
        )
