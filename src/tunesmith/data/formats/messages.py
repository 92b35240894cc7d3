"""Messages: a conversation in the shape of the OpenAI chat API."""

import sys
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from tunesmith.artifacts import Example, Message, Role, Text
from tunesmith.data.format import FORMATS, Columns, Record, has_columns, missing_column
from tunesmith.errors import DataError

ROLES: tuple[Role, ...] = get_args(Role)


@FORMATS.register
@dataclass(frozen=True)
class Messages:
    """`{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}`.

    Content is a string or a list of `{"type": "text", "text": "..."}`. An assistant's message may have a `weight`, as in
    OpenAI's fine-tuning files: any number from 0 on, 0 is not trained, 1 when left out. A key that is not read
    (`tool_calls`, `name`) is refused: to pass over it would change what is trained.
    """

    id: ClassVar[str] = "messages"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("messages",)

    def fits(self, record: Record, columns: Columns) -> bool:
        return has_columns(record, columns, self.roles)

    def read(self, record: Record, columns: Columns) -> Example:
        column = columns.get("messages", "messages")
        if column not in record:
            raise missing_column(record, column, "messages")
        value = record[column]
        if not isinstance(value, list) or not value:
            raise DataError(
                f"{column!r} must be a list of messages that is not empty", hint="in CSV use prompt-completion"
            )
        return Example(messages=tuple(_message(item, number) for number, item in enumerate(value, 1)))


def _message(item: Any, number: int) -> Message:
    if not isinstance(item, dict) or "role" not in item or "content" not in item:
        raise DataError(f"message {number} must be an object with role and content")
    read = {"role", "content", "weight"} if item["role"] == "assistant" else {"role", "content"}
    unread = sorted(set(item) - read)
    if unread:
        hint = "only an assistant's message has a weight" if unread[0] == "weight" else "remove it from the file"
        raise DataError(f"message {number} has the key {unread[0]!r}, which is not read", hint=hint)
    if item["role"] not in ROLES:
        raise DataError(f"message {number} has the role {item['role']!r}", hint=f"roles are {', '.join(ROLES)}")
    weight = _weight(item["weight"], number) if "weight" in item else None
    return Message(role=item["role"], content=_content(item["content"], number), weight=weight)


def _weight(value: Any, number: int) -> float | None:
    """What the message counts; None for 1, which is what a message without a weight counts."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        hint = "0: not trained; 1: as any other; 2: twice"
        raise DataError(f"message {number} has the weight {value!r}, which is no number from 0 on", hint=hint)
    return None if value == 1 else float(value)


def _content(value: Any, number: int) -> tuple[Text, ...]:
    if isinstance(value, str):
        return (Text(text=value),)
    if not isinstance(value, list) or not value:
        raise DataError(f"the content of message {number} must be text or a list of text parts")
    for part in value:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            kind = part.get("type") if isinstance(part, dict) else type(part).__name__
            raise DataError(
                f"message {number} has a part of type {kind!r}", hint='only {"type": "text", "text": "..."} is read'
            )
    return tuple(Text(text=part["text"]) for part in value)
