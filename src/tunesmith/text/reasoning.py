"""Thoughts: what an assistant writes before its answer. In a message they stand in its text, between `<think>` and `</think>`.

Files have them there too, or in a field of their own (`reasoning_content`, `thinking`, `reasoning`); in the text every check of
the audit reads them. A template that has a place of its own for thoughts is given them as a field again, and the answer alone
as content: some (Qwen3.8) would write thoughts that stand in the content behind an empty thought.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tunesmith.errors import DataError

OPEN_TAG: Final = "<think>"
CLOSE_TAG: Final = "</think>"
REASONING_FIELDS: Final = ("reasoning_content", "thinking", "reasoning")
"""What files and templates call them: DeepSeek, Qwen and most others; gpt-oss; the newer clients."""


class ReasoningAndAnswer(NamedTuple):
    """A text apart: `thoughts` without their marks, None where there are none, and the `answer` behind them."""

    thoughts: str | None
    answer: str


class ReasoningDelta(NamedTuple):
    """What a piece of a stream adds to the thoughts and to the answer."""

    thoughts: str
    answer: str


def split_reasoning(text: str) -> ReasoningAndAnswer:
    """Thoughts stand at the start. Their opening mark may be missing, since some prompts write it; marks further on are words."""
    head, mark, tail = text.partition(CLOSE_TAG)
    opened = head.lstrip().startswith(OPEN_TAG)
    thoughts = head.lstrip().removeprefix(OPEN_TAG) if opened else head
    if not mark or OPEN_TAG in thoughts:
        return ReasoningAndAnswer(None, text)
    return ReasoningAndAnswer(thoughts.strip("\n"), tail.lstrip("\n"))


def join_reasoning(thoughts: str, answer: str) -> str:
    """The text of a message."""
    return f"{OPEN_TAG}\n{thoughts}\n{CLOSE_TAG}\n\n{answer}"


def reasoning_field(item: Mapping[str, Any], number: int) -> str | None:
    """What a message of a file has in a field for thoughts; None without one, or with an empty one.

    Raises DataError when two fields differ, when one is no text, and when the thoughts spell their own marks.
    """
    found = {name: item[name] for name in REASONING_FIELDS if item.get(name) not in (None, "")}
    if not found:
        return None
    name, value = next(iter(found.items()))
    if not all(isinstance(one, str) for one in found.values()):
        raise DataError(f"the {name} of message {number} must be text, found {type(value).__name__}")
    if len(set(found.values())) > 1:
        raise DataError(f"message {number} has {' and '.join(found)}, and they differ", hint="keep one of them")
    if OPEN_TAG in value or CLOSE_TAG in value:
        raise DataError(f"the {name} of message {number} spells {OPEN_TAG} or {CLOSE_TAG}", hint="take the marks out")
    return str(value).strip("\n")


def add_reasoning(thoughts: str, text: str, number: int) -> str:
    """A message's text with thoughts from a field. Raises DataError when the text has thoughts already."""
    if split_reasoning(text).thoughts is not None:
        hint = "keep the field, or the marks in the content"
        raise DataError(f"message {number} has thoughts in a field and in its content", hint=hint)
    return join_reasoning(thoughts, text)


def reasoning_as_fields(turns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Turns for a template that has a place for thoughts: these as fields, under each name, and the answer as content."""
    return [_with_reasoning_fields(turn) if turn["role"] == "assistant" else turn for turn in turns]


def _with_reasoning_fields(turn: dict[str, Any]) -> dict[str, Any]:
    thoughts, answer = split_reasoning(turn["content"])
    if thoughts:
        return {**turn, "content": answer, **dict.fromkeys(REASONING_FIELDS, thoughts)}
    if thoughts is not None:
        return {**turn, "content": answer}
    # An empty field keeps a template from looking for marks among the words.
    return {**turn, REASONING_FIELDS[0]: ""} if CLOSE_TAG in turn["content"] else turn


@dataclass
class ReasoningStream:
    """Thoughts and answer of a text that comes piece by piece; what may still become a mark is held back.

    `thinking` at first: the prompt has opened the thoughts. A text that begins without a mark is all answer.
    """

    thinking: bool
    begun: bool = False
    held: str = ""

    def add(self, piece: str) -> ReasoningDelta:
        """(thoughts, answer) that are certain with this piece."""
        self.held += piece
        if not (self.begun or self.thinking):
            start = self.held.lstrip()
            if not start or (OPEN_TAG.startswith(start) and start != OPEN_TAG):
                return ReasoningDelta("", "")
            self.thinking = start.startswith(OPEN_TAG)
            self.held = start.removeprefix(OPEN_TAG) if self.thinking else self.held
        self.begun = True
        return self._think() if self.thinking else ReasoningDelta("", self._take(len(self.held)))

    def rest(self) -> ReasoningDelta:
        """What was held back, now that nothing follows."""
        held = self._take(len(self.held))
        return ReasoningDelta(held.removeprefix(CLOSE_TAG).rstrip(), "") if self.thinking else ReasoningDelta("", held)

    def _think(self) -> ReasoningDelta:
        place = self.held.find(CLOSE_TAG)
        if place < 0:
            sure = max(
                self.held.rfind(CLOSE_TAG[:size]) if self.held.endswith(CLOSE_TAG[:size]) else -1
                for size in range(1, len(CLOSE_TAG))
            )
            return ReasoningDelta(self._take(len(self.held) if sure < 0 else sure), "")
        thoughts = self._take(place)
        answer = self.held[len(CLOSE_TAG) :].lstrip()
        if answer:
            self.thinking, self.held = False, ""
            return ReasoningDelta(thoughts, answer)
        return ReasoningDelta(thoughts, "")

    def _take(self, size: int) -> str:
        taken, self.held = self.held[:size], self.held[size:]
        return taken


def answer_without_reasoning(text: str) -> str:
    """The answer in a row's text; empty while its thoughts are not closed."""
    if not text.lstrip().startswith(OPEN_TAG):
        return split_reasoning(text).answer
    stream = ReasoningStream(thinking=False)
    first = stream.add(text)
    return first.answer + stream.rest().answer
