"""Tools, tool calls and tool results in the form that chat templates take, and checks that a template rendered them.

A template without tool support drops calls silently, and the model would learn to answer with nothing.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tunesmith.artifacts import Message
from tunesmith.chat.templates import TemplateMessage, ToolDefinitions
from tunesmith.text.reasoning import REASONING_FIELDS

PYTHON_LITERALS: Final = {"true": "True", "false": "False", "null": "None"}


def template_messages(messages: Sequence[Message]) -> list[TemplateMessage]:
    """Messages as the template takes them, with the arguments of calls as objects, as transformers documents.

    A message that only calls tools has empty text, which is also what transformers makes of a content of None.
    """
    return [_template_message(message) for message in messages]


def template_tools(definitions: Sequence[str] | None) -> ToolDefinitions:
    """Tool definitions as the template takes them: in OpenAI's form, also where a file has only the function."""
    tools = [json.loads(text) for text in definitions or ()]
    return tuple(tool if "function" in tool else {"type": "function", "function": tool} for tool in tools)


def template_texts(turns: Sequence[TemplateMessage], tools: ToolDefinitions) -> Iterator[str]:
    """Every text that a template takes (content, names, values), none of which may contain a control token."""
    for turn in turns:
        yield turn["content"]
        yield turn.get(REASONING_FIELDS[0], "")
        yield from (text for call in turn.get("tool_calls", ()) for text in _json_leaves(call))
    yield from (text for tool in tools for text in _json_leaves(tool))


def missing_call(bare: str, turn: TemplateMessage) -> str | None:
    """Name of the first call whose name and arguments are not all in `bare`, a text without white space; None when all are."""
    for call in turn.get("tool_calls", ()):
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        if not all(_contains_value(bare, leaf) for leaf in (name, *_json_leaves(arguments))):
            return str(name)
    return None


def missing_tool(bare: str, tools: ToolDefinitions) -> str | None:
    """Name of the first tool whose name and parameters are not all in `bare`, a text without white space; None when all are."""
    for tool in tools:
        function = tool["function"]
        parameters = function.get("parameters") or {}
        names = parameters.get("properties") or {} if isinstance(parameters, dict) else {}
        if not all(_contains_value(bare, str(name)) for name in (function.get("name", ""), *names)):
            return str(function.get("name"))
    return None


def _template_message(message: Message) -> TemplateMessage:
    turn: TemplateMessage = {"role": message.role, "content": message.text}
    if message.tool_calls:
        turn["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.loads(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.role == "tool":
        turn |= {key: value for key in ("tool_call_id", "name") if (value := getattr(message, key)) is not None}
    return turn


def _json_leaves(value: Any) -> Iterator[str]:
    """All keys and scalar values of a JSON value, as texts."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _json_leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _json_leaves(inner)
    else:
        yield value if isinstance(value, str) else json.dumps(value)


def _contains_value(bare: str, leaf: str) -> bool:
    """Whether a text without white space contains a name or value: as it is, as JSON, or as a Python literal."""
    forms = (leaf, json.dumps(leaf, ensure_ascii=False)[1:-1], json.dumps(leaf)[1:-1], PYTHON_LITERALS.get(leaf, leaf))
    return any("".join(form.split()) in bare for form in forms)
