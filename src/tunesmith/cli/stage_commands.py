"""Verbs that run the pipeline up to a stage: the same arguments, the same rendering."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tunesmith.cli import distributed, options, output
from tunesmith.cli.options import Locations, RunOptions

if TYPE_CHECKING:
    from tunesmith.artifacts import Report
    from tunesmith.pipeline import RunResult
    from tunesmith.recipe import Recipe

StageName = Literal["audit", "train", "evaluate", "gate", "release"]


def stage_command(until: StageName, manual: str) -> Callable[..., None]:
    """A verb `VERB RECIPE [options]`; `manual` is its help text."""

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
        wishes = RunOptions(limit=limit, max_steps=max_steps, again=again, use=use, json=json, quiet=quiet)
        run_until(until, recipe, places=Locations(store, database, data_root), wishes=wishes)

    command.__doc__ = manual
    return command


def run_until(until: StageName, path: Path, *, places: Locations, wishes: RunOptions) -> None:
    """Run a recipe up to a stage and show what came of it; where a stage fails, first what the stages before it came to."""
    from tunesmith.recipe import Limits, limited, load_recipe

    recipe = limited(load_recipe(path), Limits(rows=wishes.limit, steps=wishes.max_steps))
    check_before_run(recipe, until, path, places=places)
    reached: list[RunResult] = []
    with output.progress(quiet=wishes.quiet) as progress:
        progress.say(f"{recipe.name}: audit to {until}" if until != "audit" else f"{recipe.name}: audit")
        from tunesmith import pipeline

        context = pipeline.open_context(
            path, store=places.store, database=places.database, data_root=places.data_root, progress=progress
        )
        if distributed.run_as_worker(context):
            return
        finished = False
        try:
            with distributed.lead_workers():
                result = pipeline.run(
                    recipe, context, until=until, again=wishes.again, use=wishes.use, report=reached.append
                )
            finished = True
        finally:
            if not finished and reached:
                show_partial_result(reached[-1], wishes=wishes)
    show_result(result, path.parent / recipe.release.key, wishes=wishes)


def check_before_run(recipe: "Recipe", until: StageName, path: Path, *, places: Locations) -> None:
    """What the recipe and the disk alone show to stand against a run, told before a heavy library is loaded."""
    from tunesmith.preflight import check_recipe

    home = path.resolve().parent
    check_recipe(recipe, until=until, home=home, data_root=(places.data_root or home).resolve())


def reports_of(result: "RunResult") -> "dict[str, Report]":
    """The reports of a run by stage, in the order of the stages."""
    stages: dict[str, Report | None] = {
        "audit": result.audit,
        "train": result.train,
        "evaluate": result.evaluation,
        "gate": result.gate,
        "release": result.release,
    }
    return {name: report for name, report in stages.items() if report is not None}


def show_partial_result(result: "RunResult", *, wishes: RunOptions) -> None:
    """What a run had come to when a stage failed: nothing that was measured is lost, and no training is done twice."""
    blocked = result.audit is not None and sum(result.audit.blocking.values()) > 0
    if result.train is None and not blocked:
        return
    show_reports(reports_of(result), wishes=wishes)
    if wishes.quiet:
        return
    if result.page is not None:
        output.write_message(f"report of what there is: {result.page}")
    if result.train is not None:
        output.write_message(
            f"the trained model is kept ({result.train.model.tree[:19]}); run the same command again to go on: it is not "
            "trained again unless its rows, base, task or `train:` change"
        )


def show_result(result: "RunResult", key: Path, *, wishes: RunOptions) -> None:
    """What a finished run came to: the reports, where the seconds went, and what to do next."""
    show_reports(reports_of(result), wishes=wishes)
    if not wishes.quiet:
        from tunesmith.cli import report_tables

        console = output.message_console()
        report_tables.show_stage_times(result.seconds, result.reused, console)
        report_tables.show_page_path(result.page, console)
        if result.release is not None:
            report_tables.show_release(result.release, key, console)


def show_reports(reports: "dict[str, Report]", *, wishes: RunOptions) -> None:
    """The last report on stdout, as its digest or whole; on stderr what all of them come to, or the audit's tables alone."""
    if not reports:
        return
    last = list(reports.values())[-1]
    if wishes.json:
        output.write_data(last.canonical())
    else:
        output.write_line(last.digest())
    if not wishes.quiet:
        from tunesmith.cli import report_tables, run_summary

        if set(reports) == {"audit"}:
            report_tables.show_reports_as_tables(reports, output.message_console())
        else:
            run_summary.show_run_summary(reports, output.message_console())
