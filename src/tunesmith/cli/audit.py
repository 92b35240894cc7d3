"""`tunesmith audit RECIPE | FILES...`."""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli import options, talk
from tunesmith.cli.options import Places, Wishes
from tunesmith.errors import Misuse

RECIPE_SUFFIXES = (".yaml", ".yml")


def command(
    targets: Annotated[
        list[Path], typer.Argument(metavar="RECIPE | FILES...", help="A recipe, or data files.", show_default=False)
    ],
    check: Annotated[
        list[str] | None, typer.Option("--check", help="Run this check alone; may be given again.", show_default=False)
    ] = None,
    store: options.StoreFolder = None,
    database: options.Database = None,
    data_root: options.DataRoot = None,
    limit: options.Limit = None,
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Look for defects in the rows of a recipe, or of plain data files."""
    places = Places(store, database, data_root)
    wishes = Wishes(limit=limit, again=again, json=json, quiet=quiet)
    recipes = [path for path in targets if path.suffix in RECIPE_SUFFIXES]
    if not recipes:
        audit_files(targets, tuple(check or ()), places=places, wishes=wishes)
        return
    if len(targets) > 1:
        raise Misuse(
            "a recipe is audited alone", where=str(recipes[0]), hint="give one recipe, or data files and no recipe"
        )
    audit_recipe(recipes[0], tuple(check or ()), places=places, wishes=wishes)


def audit_recipe(path: Path, checks: tuple[str, ...], *, places: Places, wishes: Wishes) -> None:
    """The audit of a recipe's rows, as `run` would do it; with some checks alone, outside the recipe's history."""
