"""Banner of a page: headline and key figures."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Headline:
    """`tone` sets the colour of the banner; `lines` are the sentences below its title."""

    tone: Literal["pass", "fail", "inconclusive"]
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Tile:
    """One key figure with its name and a note."""

    name: str
    figure: str
    note: str
