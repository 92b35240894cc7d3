"""`tunesmith show RECIPE | DIGEST`, and the lists of checks, metrics and recipe keys."""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli import options, output
from tunesmith.errors import Misuse


def command(
    target: Annotated[
        str | None,
        typer.Argument(metavar="RECIPE | DIGEST", help="A recipe, or the digest of a report.", show_default=False),
    ] = None,
    *,
    stage: Annotated[
        str | None, typer.Option("--stage", help="Show the report of this stage only.", show_default=False)
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the recipe's JSON Schema.")] = False,
    checks: Annotated[bool, typer.Option("--checks", help="List the audit checks.")] = False,
    metrics: Annotated[bool, typer.Option("--metrics", help="List the evaluation metrics.")] = False,
    store: options.StoreFolder = None,
    database: options.Database = None,
    json: options.Json = False,
) -> None:
    """Show the stored reports of a recipe, or one report by its digest."""
    if sum((target is not None, schema, checks, metrics)) != 1:
        raise Misuse(
            "expected exactly one thing to show", hint="pass one of RECIPE, DIGEST, --schema, --checks, --metrics"
        )
    if schema:
        show_schema()
    elif checks:
        show_checks()
    elif metrics:
        show_metrics()
    else:
        locations = options.Locations(store, database)
        show_stored_reports(str(target), locations=locations, stage=stage, json=json)


def show_schema() -> None:
    """Print the JSON Schema of the recipe file."""
    from tunesmith.recipe import recipe_schema

    output.write_line(recipe_schema().rstrip("\n"))


def show_checks() -> None:
    """Print one line per check: id and first line of its manual page."""
    from tunesmith.audit import check_class, check_ids

    for name in check_ids():
        output.write_line(f"{name}: {manual_summary(check_class(name))}")


def show_metrics() -> None:
    """Print one line per metric: id and first line of its manual page."""
    from tunesmith.scoring.catalogue import metric_class, metric_ids

    for name in metric_ids():
        output.write_line(f"{name}: {manual_summary(metric_class(name))}")


def show_stored_reports(target: str, *, locations: options.Locations, stage: str | None, json: bool) -> None:
    """Print stored reports as tables, or the last one as canonical JSON."""
    from tunesmith.cli import report_tables
    from tunesmith.cli.store_access import (
        DIGEST_PATTERN,
        REPORT_TYPES,
        existing_store,
        latest_reports,
        report_by_digest,
    )

    if DIGEST_PATTERN.fullmatch(target):
        output.write_data(report_by_digest(target, existing_store(locations, home=Path())))
        return
    from tunesmith.recipe import load_recipe

    if stage is not None and stage not in REPORT_TYPES:
        raise Misuse(f"unknown stage {stage!r}", where="--stage", hint=f"use one of {', '.join(REPORT_TYPES)}")
    recipe = load_recipe(Path(target))
    stored = latest_reports(recipe.name, existing_store(locations, home=Path(target).parent))
    reports = {name: report for name, report in stored.items() if stage in (None, name)}
    if not reports:
        raise Misuse("no stored report for this recipe", where=target, hint=f"run it first: `tunesmith run {target}`")
    if json:
        output.write_data(list(reports.values())[-1].canonical())
    else:
        report_tables.show_reports_as_tables(reports, output.data_console())


def manual_summary(plugin: type) -> str:
    """First line of a plugin's manual page, which is the docstring of its module."""
    from importlib import import_module

    manual = import_module(plugin.__module__).__doc__ or ""
    return manual.strip().partition("\n")[0]
