"""Commands that run the pipeline up to a stage. They share arguments and output."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.cli import distributed, options, output
from tunesmith.cli.options import Locations, RunOptions

if TYPE_CHECKING:
    from tunesmith.artifacts import Report
    from tunesmith.pipeline import RunResult
    from tunesmith.recipe import Recipe
    from tunesmith.recipe.stage_names import StageName


def stage_command(until: "StageName", manual: str) -> Callable[..., None]:
    """Build the command `NAME RECIPE [options]`. `manual` is its help text."""

    def command(
        recipe: options.RecipePath,
        *,
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
        run_options = RunOptions(limit=limit, max_steps=max_steps, again=again, use=use, json=json, quiet=quiet)
        run_until(until, recipe, locations=Locations(store, database, data_root), run_options=run_options)

    command.__doc__ = manual
    return command


def run_until(until: "StageName", path: Path, *, locations: Locations, run_options: RunOptions) -> None:
    """Run a recipe up to a stage and show the result. If a stage fails, the reports of the stages before it are shown first."""
    from tunesmith.recipe import Limits, limited, load_recipe

    recipe = limited(load_recipe(path), Limits(rows=run_options.limit, steps=run_options.max_steps))
    check_before_run(recipe, until, path, locations=locations)
    reached: list[RunResult] = []
    with output.progress(quiet=run_options.quiet) as progress:
        progress.say(f"{recipe.name}: audit to {until}" if until != "audit" else f"{recipe.name}: audit")
        from tunesmith import pipeline

        context = pipeline.open_context(
            path, store=locations.store, database=locations.database, data_root=locations.data_root, progress=progress
        )
        if distributed.run_as_worker(context):
            return
        finished = False
        try:
            with distributed.lead_workers():
                result = pipeline.run(
                    recipe, context, until=until, again=run_options.again, use=run_options.use, report=reached.append
                )
            finished = True
        finally:
            if not finished and reached:
                show_partial_result(reached[-1], run_options=run_options)
    show_result(result, path.parent / recipe.release.key, run_options=run_options)


def check_before_run(recipe: "Recipe", until: "StageName", path: Path, *, locations: Locations) -> None:
    """Raise early what the recipe and the files on disk already rule out, before heavy libraries are imported."""
    from tunesmith.preflight import check_recipe

    home = path.resolve().parent
    check_recipe(recipe, until=until, home=home, data_root=(locations.data_root or home).resolve())


def reports_of(result: "RunResult") -> "dict[str, Report]":
    """{stage: report} of a run, in stage order."""
    stages: dict[str, Report | None] = {
        "audit": result.audit,
        "train": result.train,
        "evaluate": result.evaluation,
        "gate": result.gate,
        "release": result.release,
    }
    return {name: report for name, report in stages.items() if report is not None}


def show_partial_result(result: "RunResult", *, run_options: RunOptions) -> None:
    """Show the reports of the stages that finished before a failure, and how to continue."""
    blocked = result.audit is not None and sum(result.audit.blocking.values()) > 0
    if result.train is None and not blocked:
        return
    show_reports(reports_of(result), run_options=run_options)
    if run_options.quiet:
        return
    if result.page is not None:
        output.write_message(f"Partial report: {result.page}")
    if result.train is not None:
        output.write_message(
            f"The trained model is kept ({result.train.model.tree[:19]}). After the fix, run the command again: training is "
            "repeated only if the rows, the base, the task or `train:` change."
        )


def show_result(result: "RunResult", key: Path, *, run_options: RunOptions) -> None:
    """Show the reports of a finished run, the time per stage and the next commands."""
    show_reports(reports_of(result), run_options=run_options)
    if not run_options.quiet:
        from tunesmith.cli import report_tables

        console = output.message_console()
        report_tables.show_stage_times(result.seconds, result.reused, console)
        report_tables.show_page_path(result.page, console)
        if result.release is not None:
            report_tables.show_release(result.release, key, console)


def show_reports(reports: "dict[str, Report]", *, run_options: RunOptions) -> None:
    """Print the last report on stdout, as digest or JSON, and a summary of all reports on stderr."""
    if not reports:
        return
    last = list(reports.values())[-1]
    if run_options.json:
        output.write_data(last.canonical())
    else:
        output.write_line(last.digest())
    if not run_options.quiet:
        from tunesmith.cli import report_tables, run_summary

        if set(reports) == {"audit"}:
            report_tables.show_reports_as_tables(reports, output.message_console())
        else:
            run_summary.show_run_summary(reports, output.message_console())
