"""Registry of plugins of one kind, by id. Importing a plugin module has no effect other than registration."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from difflib import get_close_matches
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar

from tunesmith.errors import Misuse

P = TypeVar("P")


class Registry(Generic[P]):
    """Plugin classes of one kind. A plugin is a frozen dataclass with the class attributes `id` and `version`.

    Third-party plugins are loaded from the entry-point group `tunesmith.<kind>`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[P]] = {}
        self._frozen = False

    def register(self, plugin: type[P]) -> type[P]:
        """Class decorator. Raises Misuse on a duplicate id, or once the registry is loaded."""
        name: str = plugin.id  # type: ignore[attr-defined]
        if self._frozen:
            raise Misuse(
                f"the {self.kind} registry is already loaded", where=name, hint="register plugins before the run starts"
            )
        if name in self._classes:
            raise Misuse(f"duplicate {self.kind} plugin {name!r}", hint="rename one of them")
        self._classes[name] = plugin
        return plugin

    def load(self, package: ModuleType) -> None:
        """Import all modules of `package` and the third-party entry points, then close the registry to new plugins."""
        if self._frozen:
            return
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
        for point in entry_points(group=f"tunesmith.{self.kind}"):
            point.load()
        self._frozen = True

    def get(self, name: str) -> type[P]:
        """Class of an id. Raises Misuse with a suggestion."""
        if name not in self._classes:
            similar = get_close_matches(name, self._classes, n=1)
            hint = f"did you mean {similar[0]!r}?" if similar else f"use one of: {', '.join(sorted(self._classes))}"
            raise Misuse(f"unknown {self.kind} {name!r}", hint=hint)
        return self._classes[name]

    def build(self, name: str, **options: Any) -> P:
        """Instance with the given settings. Raises Misuse on an unknown setting or a missing required one."""
        plugin = self.get(name)
        settings = [field.name for field in fields(plugin)]  # type: ignore[arg-type]
        for option in options:
            if option not in settings:
                similar = get_close_matches(option, settings, n=1)
                hint = (
                    f"did you mean {similar[0]!r}?" if similar else f"it takes: {', '.join(settings) or 'no settings'}"
                )
                raise Misuse(f"{self.kind} {name!r} has no setting {option!r}", hint=hint)
        for field in fields(plugin):  # type: ignore[arg-type]
            if field.name not in options and field.default is MISSING and field.default_factory is MISSING:
                hint = f"it takes: {', '.join(settings)}"
                raise Misuse(f"{self.kind} {name!r} needs the setting {field.name!r}", hint=hint)
        make: Callable[..., P] = plugin
        return make(**options)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))

    def __contains__(self, name: str) -> bool:
        return name in self._classes


def signature(plugin: Any) -> str:
    """Signature `id=..|version=..|setting=value..` of a plugin instance, derived from its fields.

    Fields with `repr=False` are set by the run, such as the current date, and are not settings.
    """
    settings = [f"{field.name}={getattr(plugin, field.name)!r}" for field in fields(plugin) if field.repr]
    return "|".join([f"id={plugin.id}", f"version={plugin.version}", *settings])
