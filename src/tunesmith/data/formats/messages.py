"""Messages: a conversation in the shape of the OpenAI chat API."""

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

    Content is a string or a list of `{"type": "text", "text": "..."}`. A key that is not read (`weight`, `tool_calls`,
    `name`) is refused: to pass over it would change what is trained.
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
    unread = sorted(set(item) - {"role", "content"})
    if unread:
        raise DataError(
            f"message {number} has the key {unread[0]!r}, which is not read", hint="remove it from the file"
        )
    if item["role"] not in ROLES:
        raise DataError(f"message {number} has the role {item['role']!r}", hint=f"roles are {', '.join(ROLES)}")
    return Message(role=item["role"], content=_content(item["content"], number))


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
