"""Thoughts: what an assistant writes before its answer. In a message they stand in its text, between `<think>` and `</think>`.

Files have them there too, or in a field of their own (`reasoning_content`, `thinking`, `reasoning`); in the text every check of
the audit reads them. A template that has a place of its own for thoughts is given them as a field again, and the answer alone
as content: some (Qwen3.8) would write thoughts that stand in the content behind an empty thought.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tunesmith.errors import DataError

OPEN: Final = "<think>"
CLOSE: Final = "</think>"
FIELDS: Final = ("reasoning_content", "thinking", "reasoning")
"""What files and templates call them: DeepSeek, Qwen and most others; gpt-oss; the newer clients."""


class Spoken(NamedTuple):
    """A text apart: `thoughts` without their marks, None where there are none, and the `answer` behind them."""

    thoughts: str | None
    answer: str


class Certain(NamedTuple):
    """What a piece of a stream adds to the thoughts and to the answer."""

    thoughts: str
    answer: str


def apart(text: str) -> Spoken:
    """Thoughts stand at the start. Their opening mark may be missing, since some prompts write it; marks further on are words."""
    head, mark, tail = text.partition(CLOSE)
    opened = head.lstrip().startswith(OPEN)
    thoughts = head.lstrip().removeprefix(OPEN) if opened else head
    if not mark or OPEN in thoughts:
        return Spoken(None, text)
    return Spoken(thoughts.strip("\n"), tail.lstrip("\n"))


def together(thoughts: str, answer: str) -> str:
    """The text of a message."""
    return f"{OPEN}\n{thoughts}\n{CLOSE}\n\n{answer}"


def thoughts_of(item: Mapping[str, Any], number: int) -> str | None:
    """What a message of a file has in a field for thoughts; None without one, or with an empty one.

    Raises DataError when two fields differ, when one is no text, and when the thoughts spell their own marks.
    """
    found = {name: item[name] for name in FIELDS if item.get(name) not in (None, "")}
    if not found:
        return None
    name, value = next(iter(found.items()))
    if not all(isinstance(one, str) for one in found.values()):
        raise DataError(f"the {name} of message {number} must be text, found {type(value).__name__}")
    if len(set(found.values())) > 1:
        raise DataError(f"message {number} has {' and '.join(found)}, and they differ", hint="keep one of them")
    if OPEN in value or CLOSE in value:
        raise DataError(f"the {name} of message {number} spells {OPEN} or {CLOSE}", hint="take the marks out")
    return str(value).strip("\n")


def with_thoughts(thoughts: str, text: str, number: int) -> str:
    """A message's text with thoughts from a field. Raises DataError when the text has thoughts already."""
    if apart(text).thoughts is not None:
        hint = "keep the field, or the marks in the content"
        raise DataError(f"message {number} has thoughts in a field and in its content", hint=hint)
    return together(thoughts, text)


def placed(turns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Turns for a template that has a place for thoughts: these as fields, under each name, and the answer as content."""
    return [_placed(turn) if turn["role"] == "assistant" else turn for turn in turns]


def _placed(turn: dict[str, Any]) -> dict[str, Any]:
    thoughts, answer = apart(turn["content"])
    if thoughts:
        return {**turn, "content": answer, **dict.fromkeys(FIELDS, thoughts)}
    if thoughts is not None:
        return {**turn, "content": answer}
    # An empty field keeps a template from looking for marks among the words.
    return {**turn, FIELDS[0]: ""} if CLOSE in turn["content"] else turn


@dataclass
class ThoughtStream:
    """Thoughts and answer of a text that comes piece by piece; what may still become a mark is held back.

    `thinking` at first: the prompt has opened the thoughts. A text that begins without a mark is all answer.
    """

    thinking: bool
    begun: bool = False
    held: str = ""

    def add(self, piece: str) -> Certain:
        """(thoughts, answer) that are certain with this piece."""
        self.held += piece
        if not (self.begun or self.thinking):
            start = self.held.lstrip()
            if not start or (OPEN.startswith(start) and start != OPEN):
                return Certain("", "")
            self.thinking = start.startswith(OPEN)
            self.held = start.removeprefix(OPEN) if self.thinking else self.held
        self.begun = True
        return self._think() if self.thinking else Certain("", self._take(len(self.held)))

    def rest(self) -> Certain:
        """What was held back, now that nothing follows."""
        held = self._take(len(self.held))
        return Certain(held.removeprefix(CLOSE).rstrip(), "") if self.thinking else Certain("", held)

    def _think(self) -> Certain:
        place = self.held.find(CLOSE)
        if place < 0:
            sure = max(
                self.held.rfind(CLOSE[:size]) if self.held.endswith(CLOSE[:size]) else -1
                for size in range(1, len(CLOSE))
            )
            return Certain(self._take(len(self.held) if sure < 0 else sure), "")
        thoughts = self._take(place)
        answer = self.held[len(CLOSE) :].lstrip()
        if answer:
            self.thinking, self.held = False, ""
            return Certain(thoughts, answer)
        return Certain(thoughts, "")

    def _take(self, size: int) -> str:
        taken, self.held = self.held[:size], self.held[size:]
        return taken


def answer_of(text: str) -> str:
    """The answer in a row's text; empty while its thoughts are not closed."""
    if not text.lstrip().startswith(OPEN):
        return apart(text).answer
    stream = ThoughtStream(thinking=False)
    first = stream.add(text)
    return first.answer + stream.rest().answer
