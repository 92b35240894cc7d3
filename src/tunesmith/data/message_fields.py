"""Read messages, tool calls and tool definitions from JSON values. Errors name the message by its number."""

import sys
from collections.abc import Mapping
from typing import Any, Final, get_args

from tunesmith.artifacts import Message, Role, Text, canonical_bytes
from tunesmith.artifacts.example import ToolCall
from tunesmith.artifacts.unchecked import unchecked_message
from tunesmith.data.containers.json_values import parse_json
from tunesmith.errors import DataError
from tunesmith.text.reasoning import REASONING_FIELDS, add_reasoning, reasoning_field

ROLES: Final[tuple[Role, ...]] = get_args(Role)
MESSAGE_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "system": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset({"role", "content", "name", "weight", "tool_calls", *REASONING_FIELDS}),
    "tool": frozenset({"role", "content", "name", "tool_call_id"}),
}
UNREAD_KEY_HINTS: Final = {
    "weight": "only an assistant's message has a weight",
    "tool_calls": "only an assistant's message calls tools",
    "tool_call_id": "only a tool's message answers a call",
    "function_call": "write it as `tool_calls`",
    **dict.fromkeys(REASONING_FIELDS, "only an assistant's message has thoughts"),
}


def read_messages(value: Any, column: str) -> tuple[Message, ...]:
    """The messages of a list of objects with role and content. A key whose value is null counts as absent."""
    if not isinstance(value, list) or not value:
        raise DataError(f"{column!r} must be a list of messages that is not empty", hint="in CSV use prompt-completion")
    return tuple(_read_message(item, number) for number, item in enumerate(value, 1))


def _read_message(item: Any, number: int) -> Message:
    if not isinstance(item, dict) or "role" not in item:
        raise DataError(f"message {number} must be an object with role and content")
    role = item["role"]
    if (MESSAGE_KEYS.get(role) if isinstance(role, str) else None) is None:
        raise DataError(f"message {number} has the role {role!r}", hint=f"roles are {', '.join(ROLES)}")
    content = item.get("content")
    if len(item) == 2 and type(content) is str:
        return unchecked_message(role, content)
    if not item.keys() <= {"role", "content"}:
        return _read_full_message({key: value for key, value in item.items() if value is not None}, number, role)
    if "content" not in item:
        raise DataError(f"message {number} must be an object with role and content")
    return Message(role=role, content=read_content(content, number))


def _read_full_message(item: dict[str, Any], number: int, role: Role) -> Message:
    if unread := sorted(item.keys() - MESSAGE_KEYS[role]):
        hint = UNREAD_KEY_HINTS.get(unread[0], "remove it from the file")
        raise DataError(f"message {number} has the key {unread[0]!r}, which is not read", hint=hint)
    calls = read_tool_calls(item["tool_calls"], number) if item.get("tool_calls") not in (None, []) else None
    reasoning = reasoning_field(item, number)
    if "content" not in item and calls is None:
        raise DataError(f"message {number} must be an object with role and content")
    content = read_content(item["content"], number) if "content" in item else ()
    if reasoning is not None:
        content = (Text(text=add_reasoning(reasoning, "".join(part.text for part in content), number)),)
    return Message(
        role=role,
        content=content,
        weight=read_weight(item["weight"], number) if "weight" in item else None,
        tool_calls=calls,
        tool_call_id=_optional_text(item, "tool_call_id", number),
        name=_optional_text(item, "name", number),
    )


def read_content(value: Any, number: int) -> tuple[Text, ...]:
    """The text parts of a message's content: a string, or a list of `{"type": "text", "text": "..."}`."""
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


def read_weight(value: Any, number: int) -> float | None:
    """The loss weight of a message; None for 1, the default."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= sys.float_info.max:
        hint = "0: not trained; 1: as any other; 2: twice"
        raise DataError(f"message {number} has the weight {value!r}, which is no number from 0 on", hint=hint)
    return None if value == 1 else float(value)


def read_tool_calls(value: Any, number: int) -> tuple[ToolCall, ...]:
    """Tool calls in the OpenAI format: `{"id", "type": "function", "function": {"name", "arguments"}}`."""
    if not isinstance(value, list):
        raise DataError(f"the tool_calls of message {number} must be a list")
    return tuple(_read_tool_call(call, number) for call in value)


def _read_tool_call(value: Any, number: int) -> ToolCall:
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict) or value.get("type") not in (None, "function"):
        hint = '{"id": "...", "type": "function", "function": {"name": "...", "arguments": "{...}"}}'
        raise DataError(f"message {number} has a tool call that is no function call", hint=hint)
    return read_function_call(function, number, call_id=_optional_text(value, "id", number))


def read_function_call(function: Any, number: int, *, call_id: str | None = None) -> ToolCall:
    """A call from `{"name": ..., "arguments": ...}`, where arguments are an object or the JSON text of one."""
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise DataError(f"message {number} has a tool call without a name")
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        return ToolCall(
            name=name, arguments=canonical_json_text(arguments, f"the arguments of message {number}"), id=call_id
        )
    if not isinstance(arguments, str) or not isinstance(_json_or_none(arguments), dict):
        what = f"message {number} calls {name!r} with arguments that are no JSON object"
        raise DataError(what, hint='e.g. {"city": "Bern"}, or the same as text')
    return ToolCall(name=name, arguments=arguments, id=call_id)


def read_tools(value: Any, column: str) -> tuple[str, ...] | None:
    """Tool definitions: a list of JSON objects, or the JSON text of one; None when there are none."""
    if value in (None, "", "null", "[]", []):
        return None
    tools = _json_or_none(value) if isinstance(value, str) else value
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise DataError(f"the column {column!r} must hold a list of tool definitions")
    return tuple(canonical_json_text(tool, f"the column {column!r}") for tool in tools)


def canonical_json_text(value: Any, what: str) -> str:
    """Canonical JSON (RFC 8785) of a value. Raises DataError, which names it as `what`."""
    try:
        return canonical_bytes(value).decode()
    except ValueError as error:
        raise DataError(f"{what} cannot be written as JSON: {error}") from error


def parse_json_object(text: str, number: int) -> dict[str, Any]:
    """The JSON object in a message's text."""
    value = _json_or_none(text)
    if not isinstance(value, dict):
        raise DataError(f"message {number} must hold one JSON object")
    return value


def _json_or_none(text: str) -> Any:
    try:
        return parse_json(text)
    except DataError:
        return None


def _optional_text(item: Mapping[str, Any], key: str, number: int) -> str | None:
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        raise DataError(f"the {key} of message {number} must be text, found {type(value).__name__}")
    return value
