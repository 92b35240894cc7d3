"""ShareGPT: a conversation as a list of `from` and `value`."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tunesmith.artifacts import Example, Message, Role, Text
from tunesmith.artifacts.unchecked import unchecked_example, unchecked_message
from tunesmith.data.format import FORMATS, Columns, Record, columns_read, optional_text, value_of
from tunesmith.data.message_fields import parse_json_object, read_function_call, read_tools, read_weight
from tunesmith.errors import DataError

ROLE_BY_SPEAKER: Final[dict[str, Role]] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "function_call": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
}


@FORMATS.register
@dataclass(frozen=True)
class ShareGpt:
    """`{"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}`.

    `from` is human, user, gpt, assistant, system, tool, observation (a tool result) or function_call (the JSON text of
    `{"name": ..., "arguments": {...}}`). An assistant turn may have a `weight`; the row may have `system` and `tools`.
    """

    id: ClassVar[str] = "sharegpt"
    version: ClassVar[str] = "1"
    roles: ClassVar[tuple[str, ...]] = ("conversations",)
    optional: ClassVar[tuple[str, ...]] = ("system", "tools")

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        return columns_read(self, record, columns)

    def read(self, record: Record, columns: Columns) -> Example:
        column, value = value_of(record, columns, "conversations")
        if not isinstance(value, list) or not value:
            raise DataError(f"{column!r} must be a list of turns that is not empty")
        turns = tuple(_read_message(item, number, column) for number, item in enumerate(value, 1))
        system = optional_text(record, columns, "system")
        if system and turns[0].role == "system":
            raise DataError("the row has the column 'system' and a system turn", hint="keep one of them")
        turns = (unchecked_message("system", system), *turns) if system else turns
        tools = columns.get("tools", "tools")
        tool_definitions = read_tools(record.get(tools), tools)
        return unchecked_example(turns) if tool_definitions is None else Example(messages=turns, tools=tool_definitions)


def _read_message(item: Any, number: int, column: str) -> Message:
    if isinstance(item, dict) and "role" in item and "from" not in item:
        hint = f"write `format: messages` and `columns: {{messages: {column}}}`"
        raise DataError(f"turn {number} has role and not from: this is the format messages", hint=hint)
    if not isinstance(item, dict) or not isinstance(item.get("value"), str):
        raise DataError(f"turn {number} must be an object with from and value, both text")
    speaker = item.get("from")
    if not isinstance(speaker, str) or speaker not in ROLE_BY_SPEAKER:
        raise DataError(f"turn {number} is from {speaker!r}", hint=f"known: {', '.join(ROLE_BY_SPEAKER)}")
    role = ROLE_BY_SPEAKER[speaker]
    read = {"from", "value", "weight"} if role == "assistant" else {"from", "value"}
    if unread := sorted(key for key in item.keys() - read if item[key] is not None):
        raise DataError(f"turn {number} has the key {unread[0]!r}, which is not read", hint="remove it from the file")
    weight = None if item.get("weight") is None else read_weight(item["weight"], number)
    if speaker == "function_call":
        call = read_function_call(parse_json_object(item["value"], number), number)
        return Message(role=role, content=(), weight=weight, tool_calls=(call,))
    if weight is None:
        return unchecked_message(role, item["value"])
    return Message(role=role, content=(Text(text=item["value"]),), weight=weight)
