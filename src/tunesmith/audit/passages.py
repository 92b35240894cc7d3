"""Passages: runs of words shared with one text, with small edits between them, taken together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tunesmith.audit.shared_ngrams import NgramRun

MAX_OPEN_PASSAGES: Final = 16
"""Passages, the last begun, that a run may go on with."""


@dataclass(frozen=True)
class Passage:
    """Runs of one message that follow one another in one text, in order."""

    text: int
    runs: tuple[NgramRun, ...]

    @property
    def words(self) -> int:
        """Words that agree, each counted once where runs overlap."""
        total, end = 0, 0
        for run in self.runs:
            total += run.place + run.words - max(end, run.place)
            end = run.place + run.words
        return total

    @property
    def longest(self) -> int:
        """Words of the longest run."""
        return max(run.words for run in self.runs)


def find_passages(runs: Sequence[NgramRun], gap: int) -> list[Passage]:
    """Runs joined where no more than `gap` words lie between them on either side; each run is in one passage.

    Where an edit leaves the words around it ambiguous, runs may overlap; a run inside another is left out.
    """
    open_passages: list[list[NgramRun]] = []
    for run in sorted(runs, key=lambda run: (run.text, run.place, -run.words, run.at)):
        home = next(
            (one for one in reversed(open_passages[-MAX_OPEN_PASSAGES:]) if _continues(one[-1], run, gap)), None
        )
        if home is not None:
            home.append(run)
        elif not any(_contains(one[-1], run) for one in open_passages[-MAX_OPEN_PASSAGES:]):
            open_passages.append([run])
    return [Passage(one[0].text, tuple(one)) for one in open_passages]


def _continues(last: NgramRun, run: NgramRun, gap: int) -> bool:
    """Whether a run goes on where the last one ended, give or take `gap` words."""
    if run.text != last.text:
        return False
    mine, theirs = run.place - last.place - last.words, run.at - last.at - last.words
    grows = run.place + run.words > last.place + last.words and run.at + run.words > last.at + last.words
    starts_later = run.place > last.place and run.at > last.at
    return grows and starts_later and mine <= gap and theirs <= gap and min(mine, theirs) >= -last.words


def _contains(other: NgramRun, run: NgramRun) -> bool:
    return other.text == run.text and other.place <= run.place and run.place + run.words <= other.place + other.words
