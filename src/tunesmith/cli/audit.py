"""`tunesmith audit RECIPE | FILES...`."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.cli import options, talk
from tunesmith.cli.options import Places, Wishes
from tunesmith.cli.stage import run_until, show_reports
from tunesmith.errors import Misuse, Refused

if TYPE_CHECKING:
    from tunesmith.recipe import AuditSettings, DataSettings, TaskSettings

RECIPE_SUFFIXES = (".yaml", ".yml")


def command(
    targets: Annotated[
        list[Path], typer.Argument(metavar="RECIPE | FILES...", help="A recipe, or data files.", show_default=False)
    ],
    *,
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
    """The audit of a recipe's rows as `run` does it; with some checks alone, beside the recipe's history."""
    if not checks:
        run_until("audit", path, places=places, wishes=wishes)
        return
    from tunesmith.recipe import Limits, limited, load_recipe

    recipe = limited(load_recipe(path), Limits(rows=wishes.limit))
    request = Request(recipe.data, recipe.audit, recipe.task, path)
    audit_alone(request, checks, places=places, wishes=wishes)


def audit_files(files: list[Path], checks: tuple[str, ...], *, places: Places, wishes: Wishes) -> None:
    """The audit of data files without a recipe: every check with its default action; the store is `.tunesmith` here."""
    from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings

    sources = tuple(SourceSettings(path=str(file), limit=wishes.limit) for file in files)
    request = Request(DataSettings(train=sources), AuditSettings(), TaskSettings(type="chat"), Path("recipe.yaml"))
    audit_alone(request, checks, places=places, wishes=wishes)


@dataclass(frozen=True)
class Request:
    """What is audited; `path` is the recipe, beside which the store lies and from which paths are read."""

    data: "DataSettings"
    settings: "AuditSettings"
    task: "TaskSettings"
    path: Path


def audit_alone(request: Request, checks: tuple[str, ...], *, places: Places, wishes: Wishes) -> None:
    """Run the audit by itself and show it. Raises Refused when a finding blocks."""
    with talk.progress(quiet=wishes.quiet) as progress:
        from tunesmith import audit, pipeline

        settings = only(request.settings, checks, known=audit.check_ids()) if checks else request.settings
        context = pipeline.open_context(
            request.path, store=places.store, database=places.database, data_root=places.data_root, progress=progress
        )
        with context.store.lock("audit"):
            report = audit.run(request.data, settings, context, task=request.task)
    show_reports({"audit": report}, wishes=wishes)
    blocks = audit.blocked(report)
    if blocks:
        raise Refused(
            f"the audit blocks: {len(blocks)} findings",
            hint="mend the rows, or give the check another action in a recipe",
        )


def only(settings: "AuditSettings", checks: tuple[str, ...], *, known: Sequence[str]) -> "AuditSettings":
    """The settings with every check off but these; what the recipe says of these stays."""
    for check in checks:
        if check not in known:
            near = get_close_matches(check, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`tunesmith show --checks` lists them"
            raise Misuse(f"no check is called {check!r}", where="--check", hint=hint)
    lists = {
        action: tuple(item for item in getattr(settings, action) if name_of(item) in checks)
        for action in ("block", "drop", "redact", "warn")
    }
    return settings.model_copy(update={**lists, "off": tuple(name for name in known if name not in checks)})


def name_of(item: str | dict[str, Any]) -> str:
    """The check's id in an entry of `block:`, `drop:`, `redact:` or `warn:`, with or without settings."""
    return item if isinstance(item, str) else next(iter(item))
