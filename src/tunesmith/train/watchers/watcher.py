"""The Watcher protocol and the registry. A watcher detects one kind of problem while the model trains."""

from typing import ClassVar, Literal, Protocol

from tunesmith.artifacts.report import WatchFinding
from tunesmith.registry import Registry
from tunesmith.train import watchers
from tunesmith.train.watchers.observations import Observation

LookMoment = Literal["before", "after"]


class Watcher(Protocol):
    """A frozen dataclass whose fields are its settings.

    `moment`: whether it looks before the update of a step or after it. `timed`: it depends on the clock, so its findings are
    printed and measured but are not part of the results. `look` runs at every step and must return fast on most of them.
    """

    id: ClassVar[str]
    version: ClassVar[str]
    moment: ClassVar[LookMoment]
    timed: ClassVar[bool]

    def look(self, observation: Observation) -> WatchFinding | None:
        """The problem found, or None. Equal observations give equal findings, so that a resumed run repeats them."""
        ...


WATCHERS: Registry[Watcher] = Registry("watcher")


def watcher_ids() -> tuple[str, ...]:
    """Ids of all watchers, sorted."""
    WATCHERS.load(watchers)
    return tuple(WATCHERS)


def watcher_class(name: str) -> type[Watcher]:
    """The class of an id. Raises Misuse with the nearest name."""
    WATCHERS.load(watchers)
    return WATCHERS.get(name)


def all_watchers() -> tuple[Watcher, ...]:
    """Every watcher with its default settings, by id."""
    return tuple(WATCHERS.build(name) for name in watcher_ids())
