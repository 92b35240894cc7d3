"""Messages: a conversation in the format of the OpenAI chat API."""

from dataclasses import dataclass
from typing import ClassVar

from tunesmith.artifacts import Example
from tunesmith.artifacts.unchecked import unchecked_example
from tunesmith.data.format import FORMATS, Columns, PlainMessages, Record, columns_read, plain_messages, value_of
from tunesmith.data.message_fields import read_messages, read_tools
from tunesmith.errors import DataError


@FORMATS.register
@dataclass(frozen=True)
class Messages:
    """`{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}`.

    Content is a string or a list of `{"type": "text", "text": "..."}`. An assistant message may have a `weight`, as in OpenAI's
    fine-tuning files: any number from 0 (not trained), 1 by default. It may have `tool_calls`, and then needs no content. It may
    have reasoning in `reasoning_content`, `thinking` or `reasoning`, which is put before its content between `<think>` and
    `</think>`. A tool message may have a `tool_call_id`, any message a `name`, and the row `tools`. Any other key is an error:
    ignoring it would change what is trained.
    """

    id: ClassVar[str] = "messages"
    version: ClassVar[str] = "3"
    roles: ClassVar[tuple[str, ...]] = ("messages",)
    optional: ClassVar[tuple[str, ...]] = ("tools",)

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        return columns_read(self, record, columns)

    def plain_messages(self, record: Record, columns: Columns) -> PlainMessages | None:
        if len(record) > 1 and (record.get("functions") or record.get(columns.get("tools", "tools")) is not None):
            return None
        return plain_messages(record.get(columns.get("messages", "messages")))

    def read(self, record: Record, columns: Columns) -> Example:
        column, value = value_of(record, columns, "messages")
        messages = read_messages(value, column)
        if record.get("functions") and "tools" not in columns:
            raise DataError("the row has `functions`, which is not read", hint="write them as `tools`")
        tools = columns.get("tools", "tools")
        tool_definitions = read_tools(record.get(tools), tools)
        return (
            unchecked_example(messages)
            if tool_definitions is None
            else Example(messages=messages, tools=tool_definitions)
        )
