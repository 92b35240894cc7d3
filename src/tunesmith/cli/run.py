"""`tunesmith run RECIPE`, with `--dry-run`."""

from typing import Annotated

import typer

from tunesmith.cli import options
from tunesmith.cli.options import Locations, RunOptions
from tunesmith.cli.stage_commands import run_until
from tunesmith.cli.train import show_dry_run
from tunesmith.errors import Misuse


def command(
    recipe: options.RecipePath,
    *,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check what any stage would refuse and preview the training, without running it."
        ),
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
    """Run a recipe from data to a signed release: audit, train, evaluate, gate, release."""
    run_options = RunOptions(limit=limit, max_steps=max_steps, again=again, use=use, json=json, quiet=quiet)
    locations = Locations(store, database, data_root)
    if dry_run and use is not None:
        raise Misuse("--use cannot be combined with --dry-run", where="--use", hint="remove one of the two")
    if dry_run:
        show_dry_run(recipe, until="release", locations=locations, run_options=run_options)
    else:
        run_until("release", recipe, locations=locations, run_options=run_options)
