"""`tunesmith show RECIPE | DIGEST`, and what there is to choose from."""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli import options, output
from tunesmith.errors import Misuse


def command(
    target: Annotated[
        str | None,
        typer.Argument(metavar="RECIPE | DIGEST", help="Whose reports, or which one.", show_default=False),
    ] = None,
    *,
    stage: Annotated[
        str | None, typer.Option("--stage", help="Only this stage's report, by its name.", show_default=False)
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the recipe's JSON Schema.")] = False,
    checks: Annotated[bool, typer.Option("--checks", help="List the checks of the audit.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="List the metrics of the evaluation.")] = False,
    store: options.StoreFolder = None,
    database: options.Database = None,
    json: options.Json = False,
) -> None:
    """Show the stored reports of a recipe, or one report by its digest."""
    if sum((target is not None, schema, checks, metrics)) != 1:
        raise Misuse(
            "nothing to show, or too much", hint="give one of RECIPE, DIGEST, --schema, --checks and --metrics"
        )
    if schema:
        show_schema()
    elif checks:
        show_checks()
    elif metrics:
        show_metrics()
    else:
        places = options.Locations(store, database)
        show_stored_reports(str(target), places=places, stage=stage, json=json)


def show_schema() -> None:
    """The JSON Schema of the recipe file."""
    from tunesmith.recipe import recipe_schema

    output.write_line(recipe_schema().rstrip("\n"))


def show_checks() -> None:
    """One line per check: id and the first line of its manual page."""
    from tunesmith.audit import check_class, check_ids

    for name in check_ids():
        output.write_line(f"{name}: {manual_summary(check_class(name))}")


def show_metrics() -> None:
    """One line per metric: id and the first line of its manual page."""
    from tunesmith.scoring.catalogue import metric_class, metric_ids

    for name in metric_ids():
        output.write_line(f"{name}: {manual_summary(metric_class(name))}")


def show_stored_reports(target: str, *, places: options.Locations, stage: str | None, json: bool) -> None:
    """Reports from a store: as tables, or the last of them as its canonical JSON."""
    from tunesmith.cli import report_tables
    from tunesmith.cli.store_access import (
        DIGEST_PATTERN,
        REPORT_TYPES,
        existing_store,
        latest_reports,
        report_by_digest,
    )

    if DIGEST_PATTERN.fullmatch(target):
        output.write_data(report_by_digest(target, existing_store(places, home=Path())))
        return
    from tunesmith.recipe import load_recipe

    if stage is not None and stage not in REPORT_TYPES:
        raise Misuse(f"no stage is called {stage!r}", where="--stage", hint=f"stages are {', '.join(REPORT_TYPES)}")
    recipe = load_recipe(Path(target))
    found = latest_reports(recipe.name, existing_store(places, home=Path(target).parent))
    reports = {name: report for name, report in found.items() if stage in (None, name)}
    if not reports:
        raise Misuse("the store has no report of it", where=target, hint="run the recipe first")
    if json:
        output.write_data(list(reports.values())[-1].canonical())
    else:
        report_tables.show_reports_as_tables(reports, output.data_console())


def manual_summary(plugin: type) -> str:
    """What a plugin's manual page, the docstring of its module, begins with."""
    from importlib import import_module

    manual = import_module(plugin.__module__).__doc__ or ""
    return manual.strip().partition("\n")[0]
