"""Registry: plugins of one kind, by id. Registering is the only effect an import of a plugin has."""

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
    """Plugin classes of one kind. A plugin is a frozen dataclass with class attributes `id` and `version`.

    Third parties add theirs through the entry-point group `tunesmith.<kind>`.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._classes: dict[str, type[P]] = {}
        self._frozen = False

    def register(self, plugin: type[P]) -> type[P]:
        """Class decorator. Raises Misuse on a second plugin with the same id or after `freeze`."""
        name: str = plugin.id  # type: ignore[attr-defined]
        if self._frozen:
            raise Misuse(
                f"the {self.kind} registry is frozen", where=name, hint="register plugins before the run starts"
            )
        if name in self._classes:
            raise Misuse(f"two {self.kind} plugins are called {name!r}", hint="rename one of them")
        self._classes[name] = plugin
        return plugin

    def load(self, package: ModuleType) -> None:
        """Import every module of a package folder and the third-party entry points, so that they register; then freeze."""
        if self._frozen:
            return
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
        for point in entry_points(group=f"tunesmith.{self.kind}"):
            point.load()
        self._frozen = True

    def get(self, name: str) -> type[P]:
        """The class of an id. Raises Misuse with the nearest name."""
        if name not in self._classes:
            near = get_close_matches(name, self._classes, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(self._classes))}"
            raise Misuse(f"no {self.kind} is called {name!r}", hint=hint)
        return self._classes[name]

    def build(self, name: str, **options: Any) -> P:
        """An instance with the given settings. Raises Misuse on a setting that is unknown, or missing and without default."""
        plugin = self.get(name)
        known = [field.name for field in fields(plugin)]  # type: ignore[arg-type]
        for option in options:
            if option not in known:
                near = get_close_matches(option, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"it takes: {', '.join(known) or 'no settings'}"
                raise Misuse(f"{self.kind} {name!r} has no setting {option!r}", hint=hint)
        for field in fields(plugin):  # type: ignore[arg-type]
            if field.name not in options and field.default is MISSING and field.default_factory is MISSING:
                hint = f"it takes: {', '.join(known)}"
                raise Misuse(f"{self.kind} {name!r} needs the setting {field.name!r}", hint=hint)
        make: Callable[..., P] = plugin
        return make(**options)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))

    def __contains__(self, name: str) -> bool:
        return name in self._classes


def signature(plugin: Any) -> str:
    """`id=..|version=..|setting=value..` of a plugin instance, read from its class; never typed by hand.

    A field with `repr=False` is handed in by the run, such as the day, and no setting.
    """
    settings = [f"{field.name}={getattr(plugin, field.name)!r}" for field in fields(plugin) if field.repr]
    return "|".join([f"id={plugin.id}", f"version={plugin.version}", *settings])
