"""Verbs that run the pipeline up to a stage: the same arguments, the same rendering."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tunesmith.cli import options, ranks, talk
from tunesmith.cli.options import Places, Wishes
from tunesmith.errors import Refused

if TYPE_CHECKING:
    from tunesmith.artifacts import Report
    from tunesmith.pipeline import RunResult

StageName = Literal["audit", "train", "evaluate", "gate", "release"]


def stage_verb(until: StageName, manual: str) -> Callable[..., None]:
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
        wishes = Wishes(limit=limit, max_steps=max_steps, again=again, use=use, json=json, quiet=quiet)
        run_until(until, recipe, places=Places(store, database, data_root), wishes=wishes)

    command.__doc__ = manual
    return command


def run_until(until: StageName, path: Path, *, places: Places, wishes: Wishes) -> None:
    """Run a recipe up to a stage and show what came of it; a refusal is shown too, then raised."""
    from tunesmith.recipe import Limits, limited, load_recipe

    recipe = limited(load_recipe(path), Limits(rows=wishes.limit, steps=wishes.max_steps))
    with talk.progress(quiet=wishes.quiet) as progress:
        progress.say(f"{recipe.name}: audit to {until}" if until != "audit" else f"{recipe.name}: audit")
        from tunesmith import pipeline

        context = pipeline.open_context(
            path, store=places.store, database=places.database, data_root=places.data_root, progress=progress
        )
        if ranks.took_part(context):
            return
        try:
            with ranks.leading():
                result = pipeline.run(recipe, context, until=until, again=wishes.again, use=wishes.use)
        except Refused:
            from tunesmith.cli.stored import refused_reports

            show_reports(refused_reports(recipe.name, context.store), wishes=wishes)
            raise
    show_result(result, path.parent / recipe.release.key, wishes=wishes)


def show_result(result: "RunResult", key: Path, *, wishes: Wishes) -> None:
    """What a finished run came to: the reports, where the seconds went, and what to do next."""
    stages: dict[str, Report | None] = {
        "audit": result.audit,
        "train": result.train,
        "evaluate": result.evaluation,
        "gate": result.gate,
        "release": result.release,
    }
    show_reports({name: report for name, report in stages.items() if report is not None}, wishes=wishes)
    if not wishes.quiet:
        from tunesmith.cli import summary

        console = talk.talk_console()
        summary.show_seconds(result.seconds, result.reused, console)
        summary.show_places(result.page, console)
        if result.release is not None:
            summary.show_release(result.release, key, console)


def show_reports(reports: "dict[str, Report]", *, wishes: Wishes) -> None:
    """The last report on stdout, as its digest or whole; on stderr what all of them come to, or the audit's tables alone."""
    if not reports:
        return
    last = list(reports.values())[-1]
    if wishes.json:
        talk.write_data(last.canonical())
    else:
        talk.write_line(last.digest())
    if not wishes.quiet:
        from tunesmith.cli import run_summary, summary

        if set(reports) == {"audit"}:
            summary.show(reports, talk.talk_console())
        else:
            run_summary.show_run(reports, talk.talk_console())
