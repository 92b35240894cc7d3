"""`tunesmith run RECIPE`, and a look ahead at it: `--dry-run`."""

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
        typer.Option("--dry-run", help="Look for all that any stage would refuse, and show what would be trained."),
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
    """Run a recipe from rows to a signed release: audit, train, evaluate, gate, release."""
    wishes = RunOptions(limit=limit, max_steps=max_steps, again=again, use=use, json=json, quiet=quiet)
    places = Locations(store, database, data_root)
    if dry_run and use is not None:
        raise Misuse("a look ahead takes no training report", where="--use", hint="leave it out")
    if dry_run:
        show_dry_run(recipe, until="release", places=places, wishes=wishes)
    else:
        run_until("release", recipe, places=places, wishes=wishes)
