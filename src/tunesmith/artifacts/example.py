"""Example: what a model learns from or is asked. Row: an example with its identity and its rights."""

from typing import Annotated, Literal

from pydantic import Field

from tunesmith.artifacts.base import Artifact

Role = Literal["system", "user", "assistant", "tool"]


class Text(Artifact):
    """A run of text."""

    type: Literal["text"] = "text"
    text: str


class Media(Artifact):
    """Media by digest; the bytes lie in the store."""

    type: Literal["media"] = "media"
    media_type: str
    sha256: str


Part = Annotated[Text | Media, Field(discriminator="type")]


def _is_unset(value: object) -> bool:
    return value is None


class Message(Artifact):
    """One turn of a conversation.

    `weight` (0 or more) is what an assistant's turn counts in the loss; 0 is not trained, and None counts as 1. It is not
    written when it is None, so that a message without one has the bytes and digest it always had.
    """

    role: Role
    content: tuple[Part, ...]
    weight: float | None = Field(default=None, ge=0, strict=True, exclude_if=_is_unset)

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.content if isinstance(part, Text))


class Example(Artifact):
    """Messages, or a text with labels, or a text alone (continued pretraining)."""

    messages: tuple[Message, ...] = ()
    text: str | None = None
    labels: tuple[str, ...] | None = None

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The messages before the last assistant turn."""
        return self.messages[:-1] if self.messages and self.messages[-1].role == "assistant" else self.messages

    @property
    def prompt_text(self) -> str:
        """Everything the model is given, as one text: user and system turns, or the text."""
        if self.messages:
            return "\n".join(message.text for message in self.prompt)
        return self.text or ""

    @property
    def completion(self) -> str:
        """What the model should say: the last assistant turn, or the first label; empty when there is none."""
        if self.messages:
            return self.messages[-1].text if self.messages[-1].role == "assistant" else ""
        return self.labels[0] if self.labels else ""


def message(role: Role, text: str) -> Message:
    """A message of one text part."""
    return Message(role=role, content=(Text(text=text),))


SourceClass = Literal["public", "licensed", "third-party", "crawled", "user", "synthetic", "other"]


class Rights(Artifact):
    """Where an example comes from and on what ground it may be used; a row's own values override its source's.

    `basis` and `purpose` are those of GDPR Art. 6 and 5(1)(b); `collected` and `expires` are ISO 8601 dates; `generator` is the
    model that wrote a synthetic row; `language` is a BCP 47 tag. `subject` is 32 hex digits of an HMAC of what identifies the
    person a row is about, under a key that never leaves the store.
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
    """An example with identity. `row_id` is 16 hex digits and survives redaction; `file` and `line` say where it was read."""

    row_id: str
    file: str
    line: int
    example: Example
    rights: Rights = Rights()
