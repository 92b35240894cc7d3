"""Build the checks to run, their settings and their actions from the recipe's `audit:` section."""

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
"""Settings that are not read from the recipe's `audit:` section, and their source."""


@dataclass(frozen=True)
class PlannedCheck:
    """A check and the action for its findings."""

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
    """All checks that are not off, ordered by phase and id. `today` is the date of the audit, `reader` tokenizes rows as the
    recipe's base does, and `context` locates the files that settings name.

    Raises RecipeError on an unknown check, setting or kind, or an action the check does not support; DataError when a file
    named by a setting is missing.
    """
    _refuse_unknown_kinds(settings.exempt)
    requested = _requested_actions(settings)
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
            action, options = requested.get(name, (check_class(name).default_action, {}))
            planned.append(
                PlannedCheck(_build_check(name, _resolve_references(name, options, context), shared), action)
            )
    return tuple(sorted(planned, key=lambda item: (item.check.phase, item.check.id)))


def check_references(settings: AuditSettings, context: Context) -> References:
    """The reference files named by check settings, which are inputs of the audit. Raises DataError when one is missing."""
    by_setting = [
        _resolve_references(name, options, context)[field.name]
        for name, (_, options) in sorted(_requested_actions(settings).items())
        for field in fields(check_class(name))  # type: ignore[arg-type]
        if field.type == References and field.name in options
    ]
    return tuple(dict.fromkeys(file for files in by_setting for file in files))


def _resolve_references(name: str, options: dict[str, Any], context: Context | None) -> dict[str, Any]:
    """The settings with paths of reference files resolved to References; a single path counts as a list of one."""
    types = {field.name: field.type for field in fields(check_class(name))}  # type: ignore[arg-type]
    resolved = dict(options)
    for option, value in options.items():
        if context is not None and types.get(option) == References:
            patterns = [value] if isinstance(value, str) else value
            if not isinstance(patterns, list | tuple) or not all(isinstance(pattern, str) for pattern in patterns):
                raise RecipeError(f"{option} must be a path or a list of paths", where=f"audit: {name}")
            resolved[option] = find_references(patterns, context)
    return resolved


def _requested_actions(settings: AuditSettings) -> dict[str, tuple[Action, dict[str, Any]]]:
    """(action, settings) of each check that the recipe names."""
    for name in settings.off:
        _known_check(name, "audit.off")
    requested: dict[str, tuple[Action, dict[str, Any]]] = {}
    for action, name, options in _action_entries(settings):
        where = f"audit.{action}"
        actions = _known_check(name, where).actions
        if action not in actions:
            raise RecipeError(
                f"the check {name!r} does not support {action}", where=where, hint=f"supported: {', '.join(actions)}"
            )
        if name in settings.off:
            raise RecipeError(
                f"the check {name!r} is also in audit.off", where=where, hint="remove it from one of the two lists"
            )
        requested.setdefault(name, (action, options))
    return requested


def _action_entries(settings: AuditSettings) -> Iterator[tuple[Action, str, dict[str, Any]]]:
    """(action, check, settings) of every entry, strongest action first."""
    for action in ACTIONS_BY_STRENGTH:
        for item in getattr(settings, action):
            entries = {item: {}} if isinstance(item, str) else item
            yield from ((action, name, options) for name, options in entries.items())


def _known_check(name: str, where: str) -> type[Check]:
    try:
        return check_class(name)
    except Misuse as error:
        raise RecipeError(error.what, where=where, hint=error.hint) from error


def _build_check(name: str, options: dict[str, Any], shared: Mapping[str, Any]) -> Check:
    """The check with its settings; types and ranges are validated by its annotations."""
    where = f"audit: {name}"
    for option in options:
        if option in shared:
            key = SHARED_SETTINGS.get(option, f"audit.{option}")
            raise RecipeError(f"{option!r} cannot be set per check", where=where, hint=f"it comes from {key}")
    cls = check_class(name)
    own_fields = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    values = {**options, **{key: value for key, value in shared.items() if key in own_fields}}
    try:
        CHECKS.build(name, **values)
        return TypeAdapter(cls).validate_python(values)
    except Misuse as error:
        raise RecipeError(error.what, where=where, hint=error.hint) from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        setting = ".".join(str(part) for part in problem["loc"])
        raise RecipeError(f"{setting}: {problem['msg']}, got {problem.get('input')!r}", where=where) from error


def _refuse_unknown_kinds(exempt: Mapping[str, str]) -> None:
    known_kinds = sorted({pattern.kind for pattern in (*PERSONAL, *SECRETS)})
    for kind in exempt:
        if kind not in known_kinds:
            near = get_close_matches(kind, known_kinds, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known kinds: {', '.join(known_kinds)}"
            raise RecipeError(f"unknown kind {kind!r}", where="audit.exempt", hint=hint)
