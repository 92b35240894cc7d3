"""Which checks run, with which settings, and what is done about their findings, from the recipe's `audit:` part."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from difflib import get_close_matches
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from tunesmith.artifacts import Action
from tunesmith.audit.check import CHECKS, Check, check_class, check_ids
from tunesmith.audit.references import References, find_references
from tunesmith.context import Context
from tunesmith.detect.patterns import PERSONAL, SECRETS
from tunesmith.errors import Misuse, RecipeError
from tunesmith.models.reader_protocol import Reader
from tunesmith.recipe import AuditSettings, TaskSettings

ACTIONS_BY_STRENGTH: Final[tuple[Action, ...]] = ("block", "drop", "redact", "warn")
"""Strongest first: a check named in two lists takes the stronger action."""
SHARED_SETTINGS: Final = {
    "task": "the recipe's task",
    "labels_are": "the recipe's task",
    "today": "the clock",
    "reader": "the recipe's base",
    "roots": "where the recipe lies",
}
"""Settings that are filled from elsewhere than from the recipe's `audit:` part, and from where."""


@dataclass(frozen=True)
class PlannedCheck:
    """A check and what is done about what it finds."""

    check: Check
    action: Action


def plan_checks(
    settings: AuditSettings,
    task: TaskSettings,
    *,
    today: date | None = None,
    reader: Reader | None = None,
    context: Context | None = None,
) -> tuple[PlannedCheck, ...]:
    """All checks but those that are off, in the order of their turns and ids. `today` is the day of the audit, `reader`
    reads rows as the recipe's base will, and in `context` lie the files that settings name.

    Raises RecipeError on an unknown check, setting or kind, and on an action that a check cannot take; DataError when a
    file that a setting names is missing.
    """
    _refuse_unknown_kinds(settings.exempt)
    wishes = _requested_actions(settings)
    shared = {
        "allowed_licenses": settings.allowed_licenses,
        "exempt": tuple(sorted(settings.exempt)),
        "task": task.type,
        "labels_are": task.labels,
        "today": today,
        "reader": reader,
        "roots": () if context is None else (context.data_root, context.home),
    }
    planned = []
    for name in check_ids():
        if name not in settings.off:
            action, options = wishes.get(name, (check_class(name).default_action, {}))
            planned.append(
                PlannedCheck(_build_check(name, _resolve_references(name, options, context), shared), action)
            )
    return tuple(sorted(planned, key=lambda one: (one.check.turn, one.check.id)))


def check_references(settings: AuditSettings, context: Context) -> References:
    """The files that settings of checks name: they are inputs of the audit like the rows. Raises DataError."""
    found = [
        _resolve_references(name, options, context)[field.name]
        for name, (_, options) in sorted(_requested_actions(settings).items())
        for field in fields(check_class(name))  # type: ignore[arg-type]
        if field.type == References and field.name in options
    ]
    return tuple(dict.fromkeys(file for files in found for file in files))


def _resolve_references(name: str, options: dict[str, Any], context: Context | None) -> dict[str, Any]:
    """The settings with paths of files to compare with as References, a path alone as a list of one."""
    kinds = {field.name: field.type for field in fields(check_class(name))}  # type: ignore[arg-type]
    made = dict(options)
    for option, value in options.items():
        if context is not None and kinds.get(option) == References:
            patterns = [value] if isinstance(value, str) else value
            if not isinstance(patterns, list | tuple) or not all(isinstance(one, str) for one in patterns):
                raise RecipeError(f"{option}: should be a path or a list of paths", where=f"audit: {name}")
            made[option] = find_references(patterns, context)
    return made


def _requested_actions(settings: AuditSettings) -> dict[str, tuple[Action, dict[str, Any]]]:
    """Action and settings by check, for those the recipe names."""
    for name in settings.off:
        _known_check(name, "audit.off")
    wishes: dict[str, tuple[Action, dict[str, Any]]] = {}
    for action, name, options in _action_entries(settings):
        where = f"audit.{action}"
        actions = _known_check(name, where).actions
        if action not in actions:
            raise RecipeError(f"the check {name!r} cannot {action}", where=where, hint=f"it can {' or '.join(actions)}")
        if name in settings.off:
            raise RecipeError(f"the check {name!r} is also in audit.off", where=where, hint="name it once")
        wishes.setdefault(name, (action, options))
    return wishes


def _action_entries(settings: AuditSettings) -> Iterator[tuple[Action, str, dict[str, Any]]]:
    """(action, check, settings) of every entry, the strongest action first."""
    for action in ACTIONS_BY_STRENGTH:
        for item in getattr(settings, action):
            named = {item: {}} if isinstance(item, str) else item
            yield from ((action, name, options) for name, options in named.items())


def _known_check(name: str, where: str) -> type[Check]:
    try:
        return check_class(name)
    except Misuse as error:
        raise RecipeError(error.what, where=where, hint=error.hint) from error


def _build_check(name: str, options: dict[str, Any], shared: Mapping[str, Any]) -> Check:
    """The check with its settings, types and ranges validated by its own annotations."""
    where = f"audit: {name}"
    for option in options:
        if option in shared:
            key = SHARED_SETTINGS.get(option, f"audit.{option}")
            raise RecipeError(f"{option!r} is not a setting of one check", where=where, hint=f"it is read from {key}")
    kind = check_class(name)
    own = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    values = {**options, **{key: value for key, value in shared.items() if key in own}}
    try:
        CHECKS.build(name, **values)
        return TypeAdapter(kind).validate_python(values)
    except Misuse as error:
        raise RecipeError(error.what, where=where, hint=error.hint) from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        setting = ".".join(str(part) for part in problem["loc"])
        raise RecipeError(f"{setting}: {problem['msg']}, got {problem.get('input')!r}", where=where) from error


def _refuse_unknown_kinds(exempt: Mapping[str, str]) -> None:
    known = sorted({pattern.kind for pattern in (*PERSONAL, *SECRETS)})
    for kind in exempt:
        if kind not in known:
            near = get_close_matches(kind, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}; only these are looked for"
            raise RecipeError(f"no pattern finds the kind {kind!r}", where="audit.exempt", hint=hint)
