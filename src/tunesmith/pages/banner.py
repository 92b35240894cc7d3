"""Banner: what a page says first, and the figures to remember."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Headline:
    """`tone` colours the banner as a gate's outcome does; `lines` are the sentences below its title."""

    tone: Literal["pass", "fail", "inconclusive"]
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Tile:
    """One figure to remember."""

    name: str
    figure: str
    note: str
