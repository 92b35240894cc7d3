"""`tunesmith audit RECIPE | FILES...`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli import options, output
from tunesmith.cli.audit_outputs import AuditOutputs, finish_audit
from tunesmith.cli.options import Locations, RunOptions
from tunesmith.cli.stage_commands import run_until, show_reports
from tunesmith.errors import Misuse, Refused

if TYPE_CHECKING:
    from tunesmith.artifacts import AuditReport
    from tunesmith.context import Context
    from tunesmith.recipe import AuditSettings

RECIPE_SUFFIXES = (".yaml", ".yml")


def command(
    targets: Annotated[
        list[Path],
        typer.Argument(metavar="RECIPE | FILES...", help="A recipe, or one or more data files.", show_default=False),
    ],
    *,
    check: Annotated[
        list[str] | None,
        typer.Option("--check", help="Run only this check. Repeat to run several.", show_default=False),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write an HTML report with examples and charts.", show_default=False),
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", help="Write the findings as a SARIF file.", show_default=False)
    ] = None,
    store: options.StoreFolder = None,
    database: options.Database = None,
    data_root: options.DataRoot = None,
    limit: options.Limit = None,
    again: options.Again = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check the rows of a recipe, or of plain data files, for defects."""
    outputs = AuditOutputs(html, sarif)
    locations = Locations(store, database, data_root)
    run_options = RunOptions(limit=limit, again=again, json=json, quiet=quiet)
    recipes = [path for path in targets if path.suffix in RECIPE_SUFFIXES]
    if not recipes:
        audit_files(targets, tuple(check or ()), locations=locations, run_options=run_options, outputs=outputs)
        return
    if len(targets) > 1:
        raise Misuse(
            "a recipe cannot be combined with other files",
            where=str(recipes[0]),
            hint="pass one recipe, or only data files",
        )
    audit_recipe(recipes[0], tuple(check or ()), locations=locations, run_options=run_options, outputs=outputs)


def audit_recipe(
    path: Path, checks: tuple[str, ...], *, locations: Locations, run_options: RunOptions, outputs: AuditOutputs
) -> None:
    """Audit the rows of a recipe as `run` does. With `checks`, only those run and the result is not recorded as the recipe's."""
    from tunesmith.recipe import Limits, limited, load_recipe

    if not checks:
        try:
            run_until("audit", path, locations=locations, run_options=run_options)
        except Refused:
            write_stored_audit(
                load_recipe(path).name, path.parent, locations=locations, run_options=run_options, outputs=outputs
            )
            raise
        write_stored_audit(
            load_recipe(path).name, path.parent, locations=locations, run_options=run_options, outputs=outputs
        )
        return

    recipe = limited(load_recipe(path), Limits(rows=run_options.limit))

    def audit(context: "Context") -> "AuditReport":
        from tunesmith.audit import check_ids, run
        from tunesmith.models.reader import open_reader

        reader = open_reader(recipe.base, recipe.task, context, train=recipe.train)
        settings = select_checks(recipe.audit, checks, available=check_ids())
        return run(recipe.data, settings, context, task=recipe.task, reader=reader)

    run_audit(audit, AuditRequest(path.parent, recipe.name, locations, run_options, outputs))


def audit_files(
    files: list[Path], checks: tuple[str, ...], *, locations: Locations, run_options: RunOptions, outputs: AuditOutputs
) -> None:
    """Audit data files without a recipe, with the default action of each check. The store is `./.tunesmith`."""
    if run_options.limit is not None:
        raise Misuse(
            "--limit applies to recipes only", where="--limit", hint="remove it, or write a recipe: `tunesmith init`"
        )

    def audit(context: "Context") -> "AuditReport":
        from tunesmith.audit import audit_files

        return audit_files(files, checks, context)

    name = files[0].name if len(files) == 1 else f"{len(files)} files"
    run_audit(audit, AuditRequest(Path(), name, locations, run_options, outputs))


@dataclass(frozen=True)
class AuditRequest:
    """An audit outside a pipeline run: the folder of its store, the name in its report, and the options."""

    home: Path
    name: str
    locations: Locations
    run_options: RunOptions
    outputs: AuditOutputs


def run_audit(audit: "Callable[[Context], AuditReport]", request: AuditRequest) -> None:
    """Run an audit while holding the store lock and show its report. Raises Refused when a finding blocks."""
    run_options = request.run_options
    with output.progress(quiet=run_options.quiet) as progress:
        from tunesmith.cli.store_access import new_context

        context = new_context(request.home, locations=request.locations, progress=progress)
        with context.store.lock("audit"):
            report = audit(context)
    show_reports({"audit": report}, run_options=run_options)
    finish_audit(report, context, request.outputs, name=request.name, quiet=run_options.quiet)
    if any(report.blocking.values()):
        counted = ((rule, count) for rule, count in sorted(report.blocking.items()) if count)
        counts = ", ".join(f"{rule} ({output.count_noun(count, 'finding')})" for rule, count in counted)
        raise Refused(
            f"audit failed: {counts}",
            hint="fix the rows, or list the check under `warn:` in the `audit:` section of a recipe",
        )


def write_stored_audit(
    name: str, home: Path, *, locations: Locations, run_options: RunOptions, outputs: AuditOutputs
) -> None:
    """Show examples and write output files for the audit report that a run of the recipe has just stored."""
    from tunesmith.artifacts import AuditReport
    from tunesmith.cli.store_access import latest_reports, new_context
    from tunesmith.context import SilentProgress

    context = new_context(home, locations=locations, progress=SilentProgress())
    report = latest_reports(name, context.store).get("audit")
    if isinstance(report, AuditReport):
        finish_audit(report, context, outputs, name=name, quiet=run_options.quiet)


def select_checks(settings: "AuditSettings", checks: tuple[str, ...], *, available: Sequence[str]) -> "AuditSettings":
    """Settings with every other check off. The selected checks keep the actions and options of the recipe."""
    for check in checks:
        if check not in available:
            similar = get_close_matches(check, available, n=1)
            hint = f"did you mean {similar[0]!r}?" if similar else "run `tunesmith show --checks` to list all checks"
            raise Misuse(f"unknown check {check!r}", where="--check", hint=hint)
    lists = {
        action: tuple(item for item in getattr(settings, action) if check_name(item) in checks)
        for action in ("block", "drop", "redact", "warn")
    }
    return settings.model_copy(update={**lists, "off": tuple(name for name in available if name not in checks)})


def check_name(item: str | dict[str, Any]) -> str:
    """Check id of an entry under `block:`, `drop:`, `redact:` or `warn:`, which may carry settings."""
    return item if isinstance(item, str) else next(iter(item))
