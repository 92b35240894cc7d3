"""`tunesmith train RECIPE`, with the previews `--dry-run` and `--find-rate`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tunesmith.cli import distributed, options, output
from tunesmith.cli.dry_run_view import format_row_place, print_preview
from tunesmith.cli.options import Locations, RunOptions
from tunesmith.cli.rate_search_view import print_rate_search
from tunesmith.cli.stage_commands import check_before_run, run_until, show_reports
from tunesmith.errors import DataError, Misuse, Refused

if TYPE_CHECKING:
    from tunesmith.artifacts import RateSearch, Report, TrainPreview
    from tunesmith.context import Context
    from tunesmith.recipe import Recipe
    from tunesmith.recipe.stage_names import StageName

R = TypeVar("R", bound="Report")


def command(
    recipe: options.RecipePath,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show rows, loss masks, lengths, memory and time without training.")
    ] = False,
    find_rate: Annotated[
        bool,
        typer.Option("--find-rate", help="Run the learning-rate range test on a copy of the model without training."),
    ] = False,
    store: options.StoreFolder = None,
    database: options.Database = None,
    data_root: options.DataRoot = None,
    limit: options.Limit = None,
    max_steps: options.MaxSteps = None,
    again: options.Again = False,
    use: options.Use = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Audit the rows, then tune the base model. --dry-run and --find-rate stop before training."""
    run_options = RunOptions(limit=limit, max_steps=max_steps, again=again, use=use, json=json, quiet=quiet)
    locations = Locations(store, database, data_root)
    if dry_run and find_rate:
        raise Misuse("--dry-run and --find-rate cannot be combined", hint="pass only one of them")
    if (dry_run or find_rate) and use is not None:
        raise Misuse("--use cannot be combined with --dry-run or --find-rate", where="--use", hint="remove --use")
    if dry_run:
        show_dry_run(recipe, locations=locations, run_options=run_options)
    elif find_rate:
        show_rate_search(recipe, locations=locations, run_options=run_options)
    else:
        run_until("train", recipe, locations=locations, run_options=run_options)


def show_dry_run(path: Path, *, until: "StageName" = "train", locations: Locations, run_options: RunOptions) -> None:
    """Print the training preview. Raises what stages up to `until` would refuse, and DataError for rows that cannot be used."""

    def preview_training(recipe: "Recipe", context: "Context") -> "TrainPreview":
        from tunesmith import pipeline

        return pipeline.preview(recipe, context, until=until, again=run_options.again)

    preview = run_without_training(path, preview_training, until=until, locations=locations, run_options=run_options)
    if run_options.json:
        output.write_data(preview.canonical())
    else:
        print_preview(preview, output.data_console())
    if preview.rejected:
        first = preview.rejected[0]
        raise DataError(
            f"{len(preview.rejected)} of {preview.rows} rows cannot be used for training; first: {first.reason}",
            where=format_row_place(first),
            hint="shorten or fix these rows, or raise `max_tokens:` under `train:` in recipe.yaml",
        )


def show_rate_search(path: Path, *, locations: Locations, run_options: RunOptions) -> None:
    """Print the learning-rate range test."""

    def search_rates(recipe: "Recipe", context: "Context") -> "RateSearch":
        from dataclasses import replace

        from tunesmith import pipeline
        from tunesmith.train import TrainInputs, resolve_precision
        from tunesmith.train.lr_finder import find_learning_rate

        audit = pipeline.run(recipe, context, until="audit", again=run_options.again).audit
        assert audit is not None
        inputs, settings = TrainInputs(audit.train, recipe.base, recipe.task), resolve_precision(recipe.train)
        with context.store.lock("learning-rate search"):
            return find_learning_rate(inputs, settings, replace(context, seed=settings.seed))

    search = run_without_training(path, search_rates, until="train", locations=locations, run_options=run_options)
    if run_options.json:
        output.write_data(search.canonical())
    else:
        print_rate_search(search, output.data_console())


def run_without_training(
    path: Path,
    compute: "Callable[[Recipe, Context], R]",
    *,
    until: "StageName",
    locations: Locations,
    run_options: RunOptions,
) -> R:
    """Check as a run up to `until` does, then call `compute`. The audit is stored as done; nothing of the training is."""
    from tunesmith.recipe import Limits, limited, load_recipe

    if distributed.is_distributed():
        raise Misuse("--dry-run and --find-rate run in one process", hint="start the command without torchrun")
    recipe = limited(load_recipe(path), Limits(rows=run_options.limit, steps=run_options.max_steps))
    check_before_run(recipe, until, path, locations=locations)
    with output.progress(quiet=run_options.quiet) as progress:
        progress.say(f"{recipe.name}: audit, then training preview")
        from tunesmith import pipeline

        context = pipeline.open_context(
            path, store=locations.store, database=locations.database, data_root=locations.data_root, progress=progress
        )
        try:
            return compute(recipe, context)
        except Refused:
            from tunesmith.cli.store_access import reports_behind_refusal

            show_reports(reports_behind_refusal(recipe.name, context.store), run_options=run_options)
            raise
