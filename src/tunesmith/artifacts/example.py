"""Example: what a model is trained or tested on. Row: an example with its identity and rights."""

import json
from typing import Annotated, Literal

from pydantic import Field

from tunesmith.artifacts.base import Artifact

Role = Literal["system", "user", "assistant", "tool"]


class Text(Artifact):
    """A text part of a message."""

    type: Literal["text"] = "text"
    text: str


class Media(Artifact):
    """Media, by digest; the bytes are in the store."""

    type: Literal["media"] = "media"
    media_type: str
    sha256: str


ContentPart = Annotated[Text | Media, Field(discriminator="type")]


def _is_unset(value: object) -> bool:
    return value is None


class ToolCall(Artifact):
    """A call of a tool by the assistant. `arguments` is the text of a JSON object, unchanged from the row."""

    name: str
    arguments: str
    id: str | None = Field(default=None, exclude_if=_is_unset)

    @property
    def text(self) -> str:
        """The call as one JSON object on one line."""
        return f'{{"name": {json.dumps(self.name, ensure_ascii=False)}, "arguments": {self.arguments}}}'


class Message(Artifact):
    """One message of a conversation.

    `weight` (0 or more) is the loss weight of an assistant message; 0 is not trained, and None counts as 1. `tool_calls` are
    those of the assistant, `tool_call_id` names the call that a tool message answers, `name` is the speaker. Fields that are
    None are not written, so older messages keep their bytes and digests.
    """

    role: Role
    content: tuple[ContentPart, ...]
    weight: float | None = Field(default=None, ge=0, strict=True, exclude_if=_is_unset)
    tool_calls: tuple[ToolCall, ...] | None = Field(default=None, exclude_if=_is_unset)
    tool_call_id: str | None = Field(default=None, exclude_if=_is_unset)
    name: str | None = Field(default=None, exclude_if=_is_unset)

    @property
    def text(self) -> str:
        """The text parts, joined."""
        if len(self.content) == 1 and isinstance(self.content[0], Text):
            return self.content[0].text
        return "".join(part.text for part in self.content if isinstance(part, Text))

    @property
    def text_with_calls(self) -> str:
        """The text, then each tool call on a line of its own."""
        if not self.tool_calls:
            return self.text
        return "\n".join(part for part in (self.text, *(call.text for call in self.tool_calls)) if part)


class LabelledSpan(Artifact):
    """A labelled span of a text: characters `start` to `end`, half-open."""

    start: int = Field(ge=0)
    end: int = Field(ge=1)
    label: str


class Example(Artifact):
    """Messages, a text with labels, tags or spans, or only a text (continued pretraining).

    `tools` are definitions of the tools that messages may call, each the RFC 8785 text of a JSON object. `tags` has one tag
    per token in `tokens`, and `text` is then the tokens joined by spaces. `answers` are all correct answers, when there are
    several; the last message is the first of them. Fields that are None are not written, except `text` and `labels`, so older
    examples keep their bytes.
    """

    messages: tuple[Message, ...] = ()
    text: str | None = None
    labels: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = Field(default=None, exclude_if=_is_unset)
    tokens: tuple[str, ...] | None = Field(default=None, exclude_if=_is_unset)
    tags: tuple[str, ...] | None = Field(default=None, exclude_if=_is_unset)
    spans: tuple[LabelledSpan, ...] | None = Field(default=None, exclude_if=_is_unset)
    answers: tuple[str, ...] | None = Field(default=None, exclude_if=_is_unset)

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The messages before the final assistant message."""
        return self.messages[:-1] if self.messages and self.messages[-1].role == "assistant" else self.messages

    @property
    def prompt_text(self) -> str:
        """The model's input as one text: the messages of the prompt, or the text."""
        if self.messages:
            return "\n".join(message.text_with_calls for message in self.prompt)
        return self.text or ""

    @property
    def completion(self) -> str:
        """The expected output; empty when there is none.

        The last assistant message with its tool calls, the labels joined by ", ", the tags joined by spaces, or a line
        `label: text` per span.
        """
        if self.messages:
            return self.messages[-1].text_with_calls if self.messages[-1].role == "assistant" else ""
        if self.tags is not None:
            return " ".join(self.tags)
        if self.spans is not None:
            return "\n".join(f"{span.label}: {(self.text or '')[span.start : span.end]}" for span in self.spans)
        return ", ".join(self.labels or ())


def message(role: Role, text: str) -> Message:
    """A message of one text part."""
    return Message(role=role, content=(Text(text=text),))


SourceClass = Literal["public", "licensed", "third-party", "crawled", "user", "synthetic", "other"]


class Rights(Artifact):
    """Origin of an example and the rights to use it; a row's own values take precedence over its source's.

    `basis` and `purpose` are those of GDPR Art. 6 and 5(1)(b); `collected` and `expires` are ISO 8601 dates; `generator` is the
    model that wrote a synthetic row; `language` is a BCP 47 tag. `subject` is 32 hex digits of an HMAC of the identifier of
    the person a row is about, under a key that never leaves the store.
    """

    source: str | None = None
    license: str | None = None
    origin: str | None = None
    author: str | None = None
    basis: str | None = None
    purpose: str | None = None
    collected: str | None = None
    expires: str | None = None
    source_class: SourceClass | None = None
    generator: str | None = None
    language: str | None = None
    subject: str | None = None


class Row(Artifact):
    """An example with its identity. `row_id` is 16 hex digits and survives redaction; `file` and `line` are where it was read."""

    row_id: str
    file: str
    line: int
    example: Example
    rights: Rights = Rights()
