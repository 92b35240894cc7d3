"""Passages: runs of words shared with one reference text, joined across small edits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tunesmith.audit.shared_ngrams import NgramMatch

MAX_OPEN_PASSAGES: Final = 16
"""Number of most recently started passages that a run may extend."""


@dataclass(frozen=True)
class Passage:
    """Consecutive runs of one message within one reference text, in order."""

    text: int
    runs: tuple[NgramMatch, ...]

    @property
    def words(self) -> int:
        """Number of matching words, each counted once where runs overlap."""
        total, end = 0, 0
        for run in self.runs:
            total += run.place + run.words - max(end, run.place)
            end = run.place + run.words
        return total

    @property
    def longest(self) -> int:
        """Length of the longest run in words."""
        return max(run.words for run in self.runs)


def find_passages(runs: Sequence[NgramMatch], gap: int) -> list[Passage]:
    """Join runs with at most `gap` words between them on either side; each run is in one passage.

    Runs may overlap where an edit leaves the surrounding words ambiguous; a run inside another is dropped.
    """
    open_passages: list[list[NgramMatch]] = []
    for run in sorted(runs, key=lambda run: (run.text, run.place, -run.words, run.at)):
        recent = open_passages[-MAX_OPEN_PASSAGES:]
        extended = next((passage for passage in reversed(recent) if _continues(passage[-1], run, gap)), None)
        if extended is not None:
            extended.append(run)
        elif not any(_contains(passage[-1], run) for passage in recent):
            open_passages.append([run])
    return [Passage(passage[0].text, tuple(passage)) for passage in open_passages]


def _continues(last: NgramMatch, run: NgramMatch, gap: int) -> bool:
    """Whether a run starts where the last one ended, within `gap` words."""
    if run.text != last.text:
        return False
    row_gap, text_gap = run.place - last.place - last.words, run.at - last.at - last.words
    grows = run.place + run.words > last.place + last.words and run.at + run.words > last.at + last.words
    starts_later = run.place > last.place and run.at > last.at
    return grows and starts_later and row_gap <= gap and text_gap <= gap and min(row_gap, text_gap) >= -last.words


def _contains(other: NgramMatch, run: NgramMatch) -> bool:
    return other.text == run.text and other.place <= run.place and run.place + run.words <= other.place + other.words
