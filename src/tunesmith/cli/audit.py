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
        list[Path], typer.Argument(metavar="RECIPE | FILES...", help="A recipe, or data files.", show_default=False)
    ],
    *,
    check: Annotated[
        list[str] | None, typer.Option("--check", help="Run this check alone; may be given again.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a report with examples and charts here.", show_default=False)
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", help="Write the findings for code hosts (SARIF).", show_default=False)
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
    faces = AuditOutputs(html, sarif)
    places = Locations(store, database, data_root)
    wishes = RunOptions(limit=limit, again=again, json=json, quiet=quiet)
    recipes = [path for path in targets if path.suffix in RECIPE_SUFFIXES]
    if not recipes:
        audit_files(targets, tuple(check or ()), places=places, wishes=wishes, faces=faces)
        return
    if len(targets) > 1:
        raise Misuse(
            "a recipe is audited alone", where=str(recipes[0]), hint="give one recipe, or data files and no recipe"
        )
    audit_recipe(recipes[0], tuple(check or ()), places=places, wishes=wishes, faces=faces)


def audit_recipe(
    path: Path, checks: tuple[str, ...], *, places: Locations, wishes: RunOptions, faces: AuditOutputs
) -> None:
    """The audit of a recipe's rows as `run` does it; with some checks alone, beside the recipe's history."""
    from tunesmith.recipe import Limits, limited, load_recipe

    if not checks:
        try:
            run_until("audit", path, places=places, wishes=wishes)
        except Refused:
            write_stored_audit(load_recipe(path).name, path.parent, places=places, wishes=wishes, faces=faces)
            raise
        write_stored_audit(load_recipe(path).name, path.parent, places=places, wishes=wishes, faces=faces)
        return

    recipe = limited(load_recipe(path), Limits(rows=wishes.limit))

    def look(context: "Context") -> "AuditReport":
        from tunesmith.audit import check_ids, run
        from tunesmith.models.reader import open_reader

        reader = open_reader(recipe.base, recipe.task, context, train=recipe.train)
        settings = select_checks(recipe.audit, checks, known=check_ids())
        return run(recipe.data, settings, context, task=recipe.task, reader=reader)

    run_audit(look, AuditRequest(path.parent, recipe.name, places, wishes, faces))


def audit_files(
    files: list[Path], checks: tuple[str, ...], *, places: Locations, wishes: RunOptions, faces: AuditOutputs
) -> None:
    """The audit of data files without a recipe: checks with their default actions; the store is `.tunesmith` here."""
    if wishes.limit is not None:
        raise Misuse("data files are audited whole", where="--limit", hint="leave it out, or write a recipe")

    def look(context: "Context") -> "AuditReport":
        from tunesmith.audit import audit_files

        return audit_files(files, checks, context)

    name = files[0].name if len(files) == 1 else f"{len(files)} files"
    run_audit(look, AuditRequest(Path(), name, places, wishes, faces))


@dataclass(frozen=True)
class AuditRequest:
    """What an audit by itself is about: the folder of its store, what it is called, and what was asked for."""

    home: Path
    name: str
    places: Locations
    wishes: RunOptions
    faces: AuditOutputs


def run_audit(look: "Callable[[Context], AuditReport]", asked: AuditRequest) -> None:
    """Run an audit by itself, holding the store, and show it. Raises Refused when a finding blocks."""
    wishes = asked.wishes
    with output.progress(quiet=wishes.quiet) as progress:
        from tunesmith.cli.store_access import new_context

        context = new_context(asked.home, places=asked.places, progress=progress)
        with context.store.lock("audit"):
            report = look(context)
    show_reports({"audit": report}, wishes=wishes)
    finish_audit(report, context, asked.faces, name=asked.name, quiet=wishes.quiet)
    blocks = sum(report.blocking.values())
    if blocks:
        raise Refused(
            f"the audit blocks: {blocks} findings", hint="mend the rows, or give the check another action in a recipe"
        )


def write_stored_audit(name: str, home: Path, *, places: Locations, wishes: RunOptions, faces: AuditOutputs) -> None:
    """The examples and files of the audit that a recipe's run has just stored."""
    from tunesmith.artifacts import AuditReport
    from tunesmith.cli.store_access import latest_reports, new_context
    from tunesmith.context import SilentProgress

    context = new_context(home, places=places, progress=SilentProgress())
    report = latest_reports(name, context.store).get("audit")
    if isinstance(report, AuditReport):
        finish_audit(report, context, faces, name=name, quiet=wishes.quiet)


def select_checks(settings: "AuditSettings", checks: tuple[str, ...], *, known: Sequence[str]) -> "AuditSettings":
    """The settings with every check off but these; what the recipe says of these stays."""
    for check in checks:
        if check not in known:
            near = get_close_matches(check, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`tunesmith show --checks` lists them"
            raise Misuse(f"no check is called {check!r}", where="--check", hint=hint)
    lists = {
        action: tuple(item for item in getattr(settings, action) if check_name(item) in checks)
        for action in ("block", "drop", "redact", "warn")
    }
    return settings.model_copy(update={**lists, "off": tuple(name for name in known if name not in checks)})


def check_name(item: str | dict[str, Any]) -> str:
    """The check's id in an entry of `block:`, `drop:`, `redact:` or `warn:`, with or without settings."""
    return item if isinstance(item, str) else next(iter(item))
