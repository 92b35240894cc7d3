"""Watcher: what notices one thing that goes wrong while the loop runs. The shape, and the registry."""

from typing import ClassVar, Literal, Protocol

from tunesmith.artifacts.report import WatchFinding
from tunesmith.registry import Registry
from tunesmith.train import watchers
from tunesmith.train.watchers.observations import Observation

LookMoment = Literal["before", "after"]


class Watcher(Protocol):
    """A frozen dataclass whose fields are its settings.

    `moment`: whether it looks before the weights move in a step, or after. `timed`: it looks at the clock, so what it finds
    is told and measured, but is no part of the results. Its look must be quick: on most steps it sees that it has nothing
    to do.
    """

    id: ClassVar[str]
    version: ClassVar[str]
    moment: ClassVar[LookMoment]
    timed: ClassVar[bool]

    def look(self, seen: Observation) -> WatchFinding | None:
        """What is wrong, or None. The same sight gives the same finding, so that a killed run finds it again."""
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
