"""Reasoning: what an assistant writes before its answer, between `<think>` and `</think>` at the start of the message.

Files have it there, or in a field of the message (`reasoning_content`, `thinking`, `reasoning`), from which it is moved into the
text, so that every check of the audit reads it. Templates that render reasoning from a field get it as a field again, with only
the answer as content: some (Qwen3.8) would write reasoning in the content after an empty reasoning block.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tunesmith.errors import DataError

OPEN_TAG: Final = "<think>"
CLOSE_TAG: Final = "</think>"
REASONING_FIELDS: Final = ("reasoning_content", "thinking", "reasoning")
"""Names of the field in files and templates: DeepSeek, Qwen and most others; gpt-oss; newer clients."""


class ReasoningAndAnswer(NamedTuple):
    """A split text: `reasoning` without its tags, None where there is none, and the `answer` after it."""

    reasoning: str | None
    answer: str


class ReasoningDelta(NamedTuple):
    """What a piece of a stream adds to the reasoning and to the answer."""

    reasoning: str
    answer: str


def split_reasoning(text: str) -> ReasoningAndAnswer:
    """Split off the reasoning at the start of a text. Its opening tag may be missing, since some prompts write it."""
    head, tag, tail = text.partition(CLOSE_TAG)
    opened = head.lstrip().startswith(OPEN_TAG)
    reasoning = head.lstrip().removeprefix(OPEN_TAG) if opened else head
    if not tag or OPEN_TAG in reasoning:
        return ReasoningAndAnswer(None, text)
    return ReasoningAndAnswer(reasoning.strip("\n"), tail.lstrip("\n"))


def join_reasoning(reasoning: str, answer: str) -> str:
    """The text of a message with reasoning and an answer."""
    return f"{OPEN_TAG}\n{reasoning}\n{CLOSE_TAG}\n\n{answer}"


def reasoning_field(item: Mapping[str, Any], number: int) -> str | None:
    """The reasoning in a field of a message from a file; None without one, or with an empty one.

    Raises DataError when two fields differ, when one is not text, and when the reasoning contains its own tags.
    """
    fields = {name: item[name] for name in REASONING_FIELDS if item.get(name) not in (None, "")}
    if not fields:
        return None
    name, value = next(iter(fields.items()))
    if not all(isinstance(field, str) for field in fields.values()):
        raise DataError(f"the {name} of message {number} must be text, found {type(value).__name__}")
    if len(set(fields.values())) > 1:
        raise DataError(f"message {number} has {' and '.join(fields)}, and they differ", hint="keep one of them")
    if OPEN_TAG in value or CLOSE_TAG in value:
        raise DataError(f"the {name} of message {number} spells {OPEN_TAG} or {CLOSE_TAG}", hint="take the marks out")
    return str(value).strip("\n")


def add_reasoning(reasoning: str, text: str, number: int) -> str:
    """A message's text with reasoning from a field. Raises DataError when the text has reasoning already."""
    if split_reasoning(text).reasoning is not None:
        hint = "keep the field, or the marks in the content"
        raise DataError(f"message {number} has thoughts in a field and in its content", hint=hint)
    return join_reasoning(reasoning, text)


def reasoning_as_fields(turns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages for a template with a reasoning field: reasoning as a field, under each name, and the answer as content."""
    return [_with_reasoning_fields(turn) if turn["role"] == "assistant" else turn for turn in turns]


def _with_reasoning_fields(turn: dict[str, Any]) -> dict[str, Any]:
    reasoning, answer = split_reasoning(turn["content"])
    if reasoning:
        return {**turn, "content": answer, **dict.fromkeys(REASONING_FIELDS, reasoning)}
    if reasoning is not None:
        return {**turn, "content": answer}
    # An empty field keeps a template from searching the content for tags.
    return {**turn, REASONING_FIELDS[0]: ""} if CLOSE_TAG in turn["content"] else turn


@dataclass
class ReasoningStream:
    """Splits a streamed text into reasoning and answer; text that may still become a tag is buffered.

    `in_reasoning` is initially true when the prompt has opened the reasoning. A text that begins without a tag is all answer.
    """

    in_reasoning: bool
    started: bool = False
    buffer: str = ""

    def add(self, piece: str) -> ReasoningDelta:
        """The reasoning and answer that are certain after this piece."""
        self.buffer += piece
        if not (self.started or self.in_reasoning):
            start = self.buffer.lstrip()
            if not start or (OPEN_TAG.startswith(start) and start != OPEN_TAG):
                return ReasoningDelta("", "")
            self.in_reasoning = start.startswith(OPEN_TAG)
            self.buffer = start.removeprefix(OPEN_TAG) if self.in_reasoning else self.buffer
        self.started = True
        return self._add_reasoning() if self.in_reasoning else ReasoningDelta("", self._take(len(self.buffer)))

    def flush(self) -> ReasoningDelta:
        """The buffered text at the end of the stream."""
        text = self._take(len(self.buffer))
        return (
            ReasoningDelta(text.removeprefix(CLOSE_TAG).rstrip(), "") if self.in_reasoning else ReasoningDelta("", text)
        )

    def _add_reasoning(self) -> ReasoningDelta:
        place = self.buffer.find(CLOSE_TAG)
        if place < 0:
            certain = max(
                self.buffer.rfind(CLOSE_TAG[:size]) if self.buffer.endswith(CLOSE_TAG[:size]) else -1
                for size in range(1, len(CLOSE_TAG))
            )
            return ReasoningDelta(self._take(len(self.buffer) if certain < 0 else certain), "")
        reasoning = self._take(place)
        answer = self.buffer[len(CLOSE_TAG) :].lstrip()
        if answer:
            self.in_reasoning, self.buffer = False, ""
            return ReasoningDelta(reasoning, answer)
        return ReasoningDelta(reasoning, "")

    def _take(self, size: int) -> str:
        text, self.buffer = self.buffer[:size], self.buffer[size:]
        return text


def answer_without_reasoning(text: str) -> str:
    """The answer in a row's text; empty when its reasoning is not closed."""
    if not text.lstrip().startswith(OPEN_TAG):
        return split_reasoning(text).answer
    stream = ReasoningStream(in_reasoning=False)
    first = stream.add(text)
    return first.answer + stream.flush().answer
